// The node file.
#include "admin/node_file.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = admin::parse_node_file(text, "muster.toml");
    // What is wrong is said with the file's name.
    if (!config) MUST(config.error().detail.contains("muster.toml"));
    return 0;
}
