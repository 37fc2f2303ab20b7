// Entries as they come from a backup or another node: what one decodes writes and reads back the
// same, and the quick reader of account rows agrees with the thorough one.
#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "fuzz.h"

namespace muster::cluster {
namespace {

template <auto Decode>
void round_trip(std::string_view json) {
    const auto object = Decode("name", json);
    if (!object) return;
    const auto again = Decode("name", encode(*object));
    MUST(again && *again == *object);
}

void account(std::string_view json) {
    const auto account = decode_account("kate@d.org", json);
    if (!account) return;
    const std::string text = encode(*account);
    const auto row = decode_account_row(text);
    MUST(row && row->id == account->id.view() && row->home == account->home.view());
    MUST(row->quota == account->quota && row->epoch == account->epoch);
    MUST(row->disabled == account->disabled);
}

}  // namespace
}  // namespace muster::cluster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::cluster;
    const auto json = muster::fuzz::text(data, size);
    round_trip<decode_domain>(json);
    round_trip<decode_server>(json);
    round_trip<decode_account>(json);
    round_trip<decode_alias>(json);
    round_trip<decode_node>(json);
    round_trip<decode_certificate>(json);
    round_trip<decode_credential>(json);
    round_trip<decode_setting>(json);
    round_trip<decode_password_keys>(json);
    round_trip<decode_administrator>(json);
    account(json);
    const auto row = decode_account_row(json);
    if (row) MUST(muster::fuzz::inside(row->id, json) && muster::fuzz::inside(row->home, json));
    return 0;
}
