#include "admin/common_secrets.h"

#include <algorithm>
#include <utility>

#include "admin/secret_keeper.h"
#include "base/log.h"
#include "cluster/address.h"
#include "cluster/entry_keys.h"

namespace muster::admin {
namespace {

constexpr const char* kTickets = "secret tickets";
constexpr const char* kRewriting = "secret srs";
constexpr const char* kDkim = "DKIM keys";

std::string cannot_be_opened(const Error& error) {
    return "cannot be opened, the keys from before are used: " + error.detail;
}

std::string dkim_dir(const NodeConfig& config) {
    return config.mail.dkim_dir.empty() ? config.node.state_dir + "/dkim" : config.mail.dkim_dir;
}

/// Empty: none, or it cannot be one.
std::string parsed_domain(const std::string& text) {
    if (text.empty()) return {};
    const auto domain = cluster::parse_domain(text);
    if (domain) return domain->text;
    log::error("srs-domain-unusable", {{"domain", text}, {"reason", domain.error().detail}});
    return {};
}

}  // namespace

CommonSecrets::CommonSecrets(const NodeContext& node)
    : node_(node), dkim_folder_(dkim_dir(node.config), node.config.mail.dkim_group) {}

void CommonSecrets::follow(const cluster::Topology& topology) {
    follow_tickets(topology);
    follow_rewriting(topology);
}

void CommonSecrets::follow_tickets(const cluster::Topology& topology) {
    const cluster::SharedSecret* secret = topology.secret(cluster::kTicketSecret);
    if (secret == nullptr || (ticket_secret_ && *ticket_secret_ == *secret)) return;
    const auto keys = opened_keys(*secret, node_.identity.seal_secret());
    note(kTickets, keys ? "" : cannot_be_opened(keys.error()));
    if (!keys) return;
    ticket_secret_ = *secret;
    std::vector<net::TicketKey> derived;
    derived.reserve(keys->size());
    for (const std::string& key : *keys) derived.push_back(net::TicketKey::from_secret(key));
    tickets_->use(std::move(derived));
    log::info("ticket-keys", {{"current", secret->current.id}});
}

void CommonSecrets::follow_rewriting(const cluster::Topology& topology) {
    const cluster::SharedSecret* secret = topology.secret(cluster::kSrsSecret);
    const std::string setting = topology.setting_text("srs_domain", {});
    const bool same_secret = secret == nullptr || (srs_secret_ && *srs_secret_ == *secret);
    if (same_secret && setting == srs_setting_) return;
    std::optional<cluster::SharedSecret> next = srs_secret_;
    if (secret != nullptr) next = *secret;
    delivery::SenderRewriting::Rules rules;
    if (next) {
        auto keys = opened_keys(*next, node_.identity.seal_secret());
        note(kRewriting, keys ? "" : cannot_be_opened(keys.error()));
        if (!keys) return;
        rules.keys = std::move(*keys);
    }
    rules.domain = parsed_domain(setting);
    srs_setting_ = setting;
    srs_secret_ = std::move(next);
    const std::string shown = rules.domain.empty() ? "none" : rules.domain;
    rewriting_->use(std::move(rules));
    log::info("sender-rewriting",
              {{"domain", shown}, {"current", srs_secret_ ? srs_secret_->current.id : "none"}});
}

bool CommonSecrets::begin_dkim_keys(const cluster::Topology& topology) {
    if (!node_.replica->filled()) return false;
    const std::scoped_lock lock(mutex_);
    if (written_ && *written_ == topology.dkim_keys()) return false;
    return !std::exchange(is_writing_, true);
}

void CommonSecrets::write_dkim_keys() {
    while (true) {
        const auto topology = node_.topology->current();
        const auto& keys = topology->dkim_keys();
        const bool has_unreadable = std::ranges::any_of(
            topology->parts().unreadable,
            [](const auto& entry) { return entry.first.starts_with(cluster::kDkimPrefix); });
        const auto held = dkim_folder_.hold(keys, node_.identity.seal_secret(), has_unreadable);
        note(kDkim, held ? "" : "cannot be written: " + held.error().detail);
        if (held && !keys.empty()) log::info("dkim-keys", {{"files", keys.size()}});
        const std::scoped_lock lock(mutex_);
        written_.reset();
        if (held) written_ = keys;
        // What changed meanwhile found a writer at work.
        is_writing_ = held && node_.topology->current()->dkim_keys() != keys;
        if (!is_writing_) return;
    }
}

void CommonSecrets::note(const std::string& about, const std::string& trouble) {
    const std::scoped_lock lock(mutex_);
    std::string& known = troubles_[about];
    if (known != trouble && !trouble.empty()) {
        log::error("secret-unusable", {{"secret", about}, {"reason", trouble}});
    }
    known = trouble;
}

std::vector<Alarm> CommonSecrets::alarms() const {
    const std::scoped_lock lock(mutex_);
    std::vector<Alarm> alarms;
    for (const auto& [about, trouble] : troubles_) {
        if (!trouble.empty()) alarms.push_back({about, trouble, true});
    }
    return alarms;
}

}  // namespace muster::admin
