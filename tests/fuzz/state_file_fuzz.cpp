// Damaged files: a store's file with some bytes replaced is opened, read, written and followed
// from; it answers or says what is wrong.
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "fuzz.h"
#include "state/replica.h"
#include "state/sqlite_store.h"
#include "state_folder.h"

namespace muster::state {
namespace {

std::string sound_file() {
    const fuzz::Folder folder;
    const auto file = folder.path() / "directory.db";
    {
        const auto store = SqliteStore::open(file);
        MUST(store);
        auto load = (*store)->bulk({});
        for (int i = 0; i < 300; ++i) {
            MUST(load->add("account/user" + std::to_string(i) + "@domain1.dom",
                           R"({"id":"abcdefghijklmnop","home":"sv1"})"));
        }
        MUST(load->finish());
    }
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

void damage(std::string& bytes, FuzzedDataProvider& input) {
    while (input.remaining_bytes() > 0) {
        const auto at = input.ConsumeIntegralInRange<std::size_t>(0, bytes.size() - 1);
        const auto patch = input.ConsumeRandomLengthString(64);
        bytes.replace(at, std::min(patch.size(), bytes.size() - at), patch, 0,
                      std::min(patch.size(), bytes.size() - at));
    }
}

void use(const std::filesystem::path& file) {
    const auto store = SqliteStore::open(file);
    if (!store) {
        MUST(!store.error().detail.empty());
        return;
    }
    const auto replica = Replica::of_store(**store, file);
    ReplicaReader reader(replica);
    (void)reader.find("account/user7@domain1.dom");
    (void)reader.range("account/", "", 50);
    (void)(*store)->changes((*store)->head(), 100, Scope::Relay);
    (void)(*store)->page("", "", 100, Scope::Relay);
    (void)(*store)->commit(Transaction().put("account/new@domain1.dom", "{}"));
}

}  // namespace
}  // namespace muster::state

extern "C" int LLVMFuzzerInitialize(int* /*count*/, char*** /*arguments*/) {
    muster::log::configure(muster::log::Level::Off, muster::log::Format::Logfmt, "fuzz");
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::string sound = muster::state::sound_file();
    std::string bytes = sound;
    FuzzedDataProvider input(data, size);
    muster::state::damage(bytes, input);
    const muster::fuzz::Folder folder;
    const auto file = folder.path() / "directory.db";
    std::ofstream(file, std::ios::binary) << bytes;
    muster::state::use(file);
    return 0;
}
