// The declaration of a whole cluster, as `cluster apply` reads it, and the plan made from it.
#include "admin/declaration.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::admin;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto wanted = parse_declaration(text);
    if (!wanted) {
        MUST(!wanted.error().detail.empty());
        return 0;
    }
    const auto steps = plan({}, *wanted, [] { return std::string("aaaaaaaaaaaaaaaa"); });
    Entries reached;
    for (const Step& step : steps) {
        MUST(step.kind == Step::Kind::Create);  // there was nothing before
        reached[step.key] = step.after;
    }
    // Once reached, nothing is left to do.
    MUST(plan(reached, *wanted, [] { return std::string("bbbbbbbbbbbbbbbb"); }).empty());
    return 0;
}
