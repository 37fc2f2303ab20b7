// A follower whose source sends anything: bodies are the input, cut at each zero byte.
#include "base/log.h"
#include "fuzz.h"
#include "state/follower_session.h"
#include "state_folder.h"

namespace muster::state {
namespace {

class HostileSource : public Source {
public:
    explicit HostileSource(std::string_view input) : input_(input) {}
    [[nodiscard]] std::string name() const override { return "hostile"; }
    void cancel() override {}
    Result<> get(const std::string& /*target*/, const Sink& sink) override {
        if (input_.empty()) return fail(ErrorKind::Unavailable, "over");
        const auto end = std::min(input_.find('\0'), input_.size());
        sink(input_.substr(0, end));
        input_.remove_prefix(std::min(end + 1, input_.size()));
        return {};
    }

private:
    std::string_view input_;
};

void follow(std::string_view input) {
    const fuzz::Folder folder;
    const auto replica = Replica::of_folder(folder.path());
    MUST(replica);
    auto writer = ReplicaWriter::open(*replica, Scope::Relay);
    MUST(writer);
    HostileSource source(input);
    Cursor last;
    FollowerSession session(**replica, **writer, source, {Scope::Relay, 100}, {}, [&](const auto&) {
        const Cursor& now = (*writer)->position().cursor;
        const bool same = now.incarnation == last.incarnation;
        MUST(!same || now.term > last.term ||
             (now.term == last.term && now.revision >= last.revision));
        last = now;
    });
    const Error error = session.run();
    MUST(!error.public_text.empty());
    if (!(*replica)->filled()) return;
    ReplicaReader reader(*replica);
    const auto entries = reader.range("", "", 1000);
    MUST(entries);
    for (const Entry& entry : *entries) {
        MUST(check_key(entry.key) && check_value(entry.value));
        MUST(!forbidden(entry.key, Scope::Relay));
    }
}

}  // namespace
}  // namespace muster::state

extern "C" int LLVMFuzzerInitialize(int* /*count*/, char*** /*arguments*/) {
    muster::log::configure(muster::log::Level::Off, muster::log::Format::Logfmt, "fuzz");
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    muster::state::follow(muster::fuzz::text(data, size));
    return 0;
}
