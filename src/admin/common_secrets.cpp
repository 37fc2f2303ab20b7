#include "admin/common_secrets.h"

#include <utility>

#include "admin/secret_keeper.h"
#include "base/log.h"
#include "cluster/address.h"

namespace muster::admin {
namespace {

void log_unusable(std::string_view name, const Error& error) {
    log::error("secret-unusable", {{"secret", name}, {"reason", error.detail}});
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
    ticket_secret_ = *secret;
    const auto keys = opened_keys(*secret, node_.identity.seal_secret());
    if (!keys) return log_unusable(secret->name, keys.error());
    std::vector<net::TicketKey> derived;
    derived.reserve(keys->size());
    for (const std::string& key : *keys) derived.push_back(net::TicketKey::from_secret(key));
    tickets_->use(std::move(derived));
    log::info("ticket-keys", {{"current", secret->current.id}});
}

void CommonSecrets::follow_rewriting(const cluster::Topology& topology) {
    const cluster::SharedSecret* secret = topology.secret(cluster::kSrsSecret);
    const std::string setting = topology.setting_text("srs_domain", {});
    const bool same_secret =
        secret == nullptr ? !srs_secret_ : srs_secret_ && *srs_secret_ == *secret;
    if (same_secret && setting == srs_setting_) return;
    srs_setting_ = setting;
    if (secret != nullptr) srs_secret_ = *secret;
    delivery::SenderRewriting::Rules rules{.domain = parsed_domain(setting)};
    if (srs_secret_) {
        auto keys = opened_keys(*srs_secret_, node_.identity.seal_secret());
        if (!keys) return log_unusable(cluster::kSrsSecret, keys.error());
        rules.keys = std::move(*keys);
    }
    const std::string shown = rules.domain.empty() ? "none" : rules.domain;
    rewriting_->use(std::move(rules));
    log::info("sender-rewriting",
              {{"domain", shown}, {"current", srs_secret_ ? srs_secret_->current.id : "none"}});
}

bool CommonSecrets::dkim_keys_changed(const cluster::Topology& topology) const {
    if (!node_.replica->filled()) return false;
    const std::scoped_lock lock(mutex_);
    return !written_ || *written_ != topology.dkim_keys();
}

void CommonSecrets::write_dkim_keys() {
    const std::scoped_lock lock(mutex_);
    const auto topology = node_.topology->current();
    const auto held = dkim_folder_.hold(topology->dkim_keys(), node_.identity.seal_secret());
    if (!held) {
        log::error("dkim-keys-unwritten", {{"reason", held.error().detail}});
        return;
    }
    const bool had_none = !written_ || written_->empty();
    written_ = topology->dkim_keys();
    if (!had_none || !written_->empty()) log::info("dkim-keys", {{"files", written_->size()}});
}

}  // namespace muster::admin
