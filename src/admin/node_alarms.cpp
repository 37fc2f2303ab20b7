#include "admin/node_alarms.h"

#include <algorithm>

#include "admin/exception_file.h"
#include "admin/files.h"
#include "admin/followed_network.h"
#include "admin/issued.h"
#include "admin/leadership.h"
#include "admin/presence.h"
#include "admin/queue_report.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/topology_merge.h"
#include "net/pki.h"

namespace muster::admin {
namespace {

constexpr std::chrono::minutes kStale{15};
constexpr std::chrono::hours kTellAgain{6};
constexpr std::size_t kMostConflicts = 20;  ///< alarms, one each

void add(std::vector<Alarm>& alarms, std::string about, std::string text, bool severe) {
    alarms.push_back({std::move(about), std::move(text), severe});
}

std::vector<NamedCertificate> watched_certificates(const NodeContext& node) {
    std::vector<NamedCertificate> certificates{{"cluster authority", node.identity.authority}};
    for (const CertificateFiles& files : node.certificate_files()) {
        certificates.push_back({files.chain, read_file(files.chain).value_or("")});
    }
    const auto topology = node.topology->current();
    for (const cluster::Certificate& certificate : topology->certificates()) {
        certificates.push_back({"certificate " + certificate.name, certificate.chain});
    }
    for (const cluster::ServerView& server : topology->servers()) {
        if (server.server.ca.empty() || server.server.ca == node.identity.authority) continue;
        certificates.push_back(
            {"authority of server " + server.server.name.text, server.server.ca});
    }
    return certificates;
}

/// What the checks saw of servers and services that are still in the state: workers may hold an
/// old topology, and so its rows, for as long as nobody logs in.
std::vector<cluster::HealthRow> health_rows(const NodeContext& node) {
    const auto topology = node.topology->current();
    auto rows = node.health->rows();
    std::erase_if(rows, [&topology](const cluster::HealthRow& row) {
        const cluster::ServerView* const view = topology->server(row.server.view());
        return view == nullptr || !view->server.service(row.service);
    });
    return rows;
}

struct WatchedEnd {
    std::string about;
    WallTime end;
    std::string advice;
};

/// Certificates that are somewhere else: what the checks of servers saw, what the authority signed.
std::vector<WatchedEnd> watched_ends(const NodeContext& node) {
    std::vector<WatchedEnd> ends;
    for (const cluster::HealthRow& row : health_rows(node)) {
        if (!row.certificate_end) continue;
        ends.push_back({"certificate of server " + row.server.text + " (" +
                            std::string(name(row.service)) + ")",
                        *row.certificate_end,
                        "without a new one nobody logs in there; make it (muster certificate "
                        "issue, or whoever signed the old one) and reload that server"});
    }
    if (!node.is_master()) return ends;
    for (const IssuedCertificate& one : issued_certificates(*node.directory)) {
        ends.push_back({"issued certificate " + one.name, one.end,
                        "make a new one (muster certificate issue " + one.name +
                            ") and reload what uses it, or, when nothing does, muster certificate "
                            "forget " +
                            one.name});
    }
    return ends;
}

/// What does not fit together of the directories that this node reads, and its exceptions.
std::vector<Alarm> network_alarms(const NodeContext& node) {
    std::vector<Alarm> alarms;
    const auto topology = node.topology->current();
    for (const cluster::DomainConflict& conflict : topology->parts().conflicts) {
        if (alarms.size() == kMostConflicts) break;
        add(alarms, "domain " + conflict.domain.text, cluster::text_of(conflict), false);
    }
    std::size_t unreadable = 0;
    for (const auto& [key, why] : topology->parts().unreadable) {
        if (++unreadable > kMostConflicts) break;
        add(alarms, "entry " + key, "cannot be read by this version and is left out: " + why,
            false);
    }
    for (const cluster::Network& network : topology->parts().networks) {
        if (network.unreadable > 0 && !network.name.empty()) {
            add(alarms, "network " + network.name,
                "has " + std::to_string(network.unreadable) +
                    " domain(s) that this version cannot read, whose mail waits: " +
                    network.unreadable_first,
                false);
        }
        if (network.misplaced > 0) {
            add(alarms, "network " + network.name,
                "has " + std::to_string(network.misplaced) +
                    " server(s) or route(s) at addresses of this machine itself, which are left "
                    "out: " +
                    network.misplaced_first.front(),
                false);
        }
        if (network.refused == 0) continue;
        add(alarms, "network " + network.name,
            "says it has " + std::to_string(network.refused) +
                " domain(s) that are not taken, since follow.domains does not name them: " +
                first_names(network),
            false);
    }
    for (const cluster::ServerView& view : topology->servers()) {
        const bool is_own = cluster::is_of_own_cluster(view.server.name.view());
        if (is_own || view.server.login != cluster::LoginMode::Master) continue;
        add(alarms, "server " + view.server.name.text,
            "takes logins by its master user only: nobody can log in there through this node",
            false);
    }
    for (const auto& [domain, why] : topology->parts().misfits) {
        add(alarms, "exception for " + domain, "does not fit and is not heeded: " + why, false);
    }
    if (const std::string trouble = node.exceptions->trouble(); !trouble.empty()) {
        add(alarms, "exceptions.json", "cannot be read, no exception is in force: " + trouble,
            true);
    }
    return alarms;
}

constexpr const char* kEnds = "muster_certificate_ends_timestamp_seconds";

void show_end(const std::string& about, WallTime end) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(end.time_since_epoch());
    metrics::gauge(kEnds, "When a certificate ends, in seconds since 1970",
                   {{"certificate", about}})
        .set(static_cast<double>(seconds.count()));
}

}  // namespace

std::vector<NodeName> other_members(const NodeContext& node) {
    const auto topology = node.topology->current();
    std::vector<NodeName> names;
    for (const cluster::Node& member : topology->parts().nodes) {
        if (member.name != node.config.node.name && !member.revoked) names.push_back(member.name);
    }
    return names;
}

std::vector<Alarm> node_alarms(const NodeContext& node) {
    auto alarms = certificate_alarms(watched_certificates(node), std::chrono::system_clock::now());
    if (!node.replica->filled()) add(alarms, "replica", "was never filled", true);
    if (node.replica->damaged()) add(alarms, "replica", "is damaged, a new copy is made", true);
    const auto age = node.replica->age();
    // Who asks seldom hears seldom.
    const auto patience = kStale + node.config.cluster.update_interval;
    const bool follows = node.follower != nullptr && !node.is_master();
    if (follows && age && *age > patience) {
        const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(patience).count();
        add(alarms, "replica",
            "nothing was heard from a master for " + std::to_string(minutes) + " minutes", true);
    }
    if (follows) {
        const state::FollowerStatus follower = node.follower->status();
        if (follower.refused) add(alarms, "replica", follower.trouble, true);
    }
    if (auto* const store = dynamic_cast<state::SqliteStore*>(node.directory)) {
        const std::string trouble = store->trouble();
        if (!trouble.empty()) {
            add(alarms, "state", "the last change could not be written, make room: " + trouble,
                true);
        }
    }
    for (Alarm& alarm : network_alarms(node)) alarms.push_back(std::move(alarm));
    if (node.leadership != nullptr) {
        for (Alarm& alarm : node.leadership->alarms()) alarms.push_back(std::move(alarm));
    }
    if (node.is_master()) {
        for (Alarm& alarm :
             node.presence->alarms(other_members(node), node.config.cluster.absent_after,
                                   std::chrono::system_clock::now())) {
            alarms.push_back(std::move(alarm));
        }
    }
    if (node.networks != nullptr) {
        for (Alarm& alarm : node.networks->alarms()) alarms.push_back(std::move(alarm));
    }
    if (node.hooks.alarms) {
        for (Alarm& alarm : node.hooks.alarms()) alarms.push_back(std::move(alarm));
    }
    if (node.queue != nullptr) {
        for (Alarm& alarm : queue_alarms(queue_state(*node.queue))) {
            alarms.push_back(std::move(alarm));
        }
    }
    for (const WatchedEnd& watched : watched_ends(node)) {
        auto alarm =
            end_alarm(watched.about, watched.end, std::chrono::system_clock::now(), watched.advice);
        if (alarm) alarms.push_back(std::move(*alarm));
    }
    for (const cluster::HealthRow& row : health_rows(node)) {
        if (row.observed != cluster::Observed::Down) continue;
        add(alarms, "server " + row.server.text,
            std::string(name(row.service)) + " is down: " + row.last_error, true);
    }
    return alarms;
}

void AlarmReporter::show_ends(const NodeContext& node) {
    std::set<std::string> shown;
    for (const NamedCertificate& certificate : watched_certificates(node)) {
        const auto facts = net::read_certificate(certificate.chain);
        if (!facts) continue;
        show_end(certificate.about, facts->not_after);
        shown.insert(certificate.about);
    }
    for (const WatchedEnd& watched : watched_ends(node)) {
        show_end(watched.about, watched.end);
        shown.insert(watched.about);
    }
    for (const std::string& about : shown_) {
        if (!shown.contains(about)) metrics::forget_gauge(kEnds, {{"certificate", about}});
    }
    shown_ = std::move(shown);
}

void AlarmReporter::look(const NodeContext& node) {
    show_ends(node);
    auto alarms = node_alarms(node);
    metrics::gauge("muster_alarms", "Alarms of this node").set(static_cast<double>(alarms.size()));
    if (net::Clock::now() >= tell_again_) {
        tell_again_ = net::Clock::now() + kTellAgain;
        told_.clear();
    }
    for (const Alarm& alarm : alarms) {
        const bool known = std::ranges::any_of(told_, [&alarm](const Alarm& told) {
            return told.about == alarm.about && told.text == alarm.text;
        });
        if (known) continue;
        log::write(alarm.severe ? log::Level::Error : log::Level::Warning, "alarm",
                   {{"about", alarm.about}, {"text", alarm.text}});
    }
    told_ = std::move(alarms);
}

}  // namespace muster::admin
