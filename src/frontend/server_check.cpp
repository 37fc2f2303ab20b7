#include "frontend/server_check.h"

#include <random>
#include <sstream>

#include "base/seal.h"
#include "cluster/capabilities.h"
#include "frontend/smtp_greeting.h"
#include "frontend/target_table.h"
#include "net/connect.h"
#include "net/conversation.h"
#include "wire/ascii.h"
#include "wire/proxy_protocol.h"
#include "wire/sasl.h"

namespace muster::frontend {
namespace {

using cluster::Service;
using cluster::TlsMode;

constexpr std::uint16_t kClientPort = 40'000;

std::string_view step_name(OpenStep step) {
    switch (step) {
        case OpenStep::Tls: return "tls";
        case OpenStep::Greeting: return "greeting";
        case OpenStep::Capabilities: break;
    }
    return "capabilities";
}

std::vector<OpenStep> steps_of(TlsMode tls) {
    switch (tls) {
        case TlsMode::Implicit: return {OpenStep::Tls, OpenStep::Greeting};
        case TlsMode::StartTls: return {OpenStep::Greeting, OpenStep::Tls};
        case TlsMode::None: break;
    }
    return {OpenStep::Greeting};
}

/// Of 192.0.2.0/24, which no client has (RFC 5737).
IpAddress made_up_address() {
    std::uniform_int_distribution<unsigned> host(1, 254);
    std::random_device device;
    return IpAddress::from_v4({192, 0, 2, static_cast<std::uint8_t>(host(device))});
}

/// `muster-check-…` in the first domain that lives on the server.
std::string made_up_name(const cluster::Topology& topology, const ServerName& server) {
    std::string name = "muster-check-" + random_name(24);
    for (const cluster::Domain& domain : topology.parts().domains) {
        if (std::ranges::find(domain.servers, server) != domain.servers.end()) {
            return name + "@" + domain.name.text;
        }
    }
    return name;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) (text += text.empty() ? "" : " ") += word;
    return text;
}

/// One service's story; adds to the report. Lives in the frame of ServerCheck::run().
class ServiceCheck {
public:
    ServiceCheck(net::Loop& loop, const UpstreamSettings& settings, Service service,
                 ServerReport& report)
        : loop_(loop),
          settings_(settings),
          service_(service),
          report_(report),
          client_{made_up_address(), kClientPort},
          session_(random_name(24)) {}

    Task<void> run(std::shared_ptr<const UpstreamTarget> target, Endpoint to,
                   std::optional<IpAddress> source, std::string login,
                   std::vector<std::string> announced, bool own_keys) {
        own_keys_ = own_keys;
        target_ = std::move(target);
        login_ = std::move(login);
        announced_ = std::move(announced);
        auto stream = co_await net::connect(loop_, to, source, settings_.connect_time);
        if (!stream) co_return add("connect", Proven::No, to.text() + ": " + stream.error().detail);
        add("connect", Proven::Yes, to.text());
        server_ = to;
        upstream_ = make_upstream(std::move(*stream), target_);
        auto reason = net::EndReason::None;
        try {
            co_return co_await talk();
        } catch (const net::ConversationOver& over) {
            reason = over.reason();
        }
        broken_off("the connection ended: " + std::string(net::name(reason)));
    }

    void add(std::string_view step, Proven proven, std::string detail) {
        report_.proofs.push_back({service_, step, proven, std::move(detail)});
    }

private:
    Task<void> talk() {
        upstream_->stream().expire_after(settings_.connect_time);
        if (target_->introduce == cluster::Introduce::Proxy) {
            const Endpoint local{client_.address, server_.port};
            const auto header = wire::proxy_protocol::write_v2(client_, local);
            co_await upstream_->stream().write(header);
        }
        if (is_smtp(service_)) co_return co_await greet_by_smtp();
        const auto opened = co_await upstream_->open();
        if (!opened) co_return broken_off(opened.error().detail);
        step_ = "capabilities";
        opened_until(OpenStep::Capabilities);
        co_await compare_capabilities();
        step_ = "login";
        upstream_->stream().expire_after(settings_.login_time);
        co_await log_in();
    }

    Task<void> greet_by_smtp() {
        step_ = "greeting";
        const auto greeted = co_await read_smtp_greeting(upstream_->stream(), *target_);
        if (!greeted) co_return broken_off(greeted.error().detail);
        if (target_->tls == TlsMode::Implicit) {
            add("tls", Proven::Yes,
                upstream_->stream().tls_description() + ", verified as " + target_->tls_name);
        }
        add(step_, Proven::Yes, "");
    }

    /// The steps of open() before `end`, all of which went well.
    void opened_until(OpenStep end) {
        for (const OpenStep step : steps_of(target_->tls)) {
            if (step == end) return;
            const bool tls = step == OpenStep::Tls;
            add(step_name(step), Proven::Yes,
                tls ? upstream_->stream().tls_description() + ", verified as " + target_->tls_name
                    : "");
        }
        if (target_->tls == TlsMode::None) add("tls", Proven::Cannot, "the entry asks for no TLS");
    }

    void broken_off(const std::string& why) {
        if (!step_.empty()) return add(step_, Proven::No, why);
        opened_until(upstream_->opening());
        add(step_name(upstream_->opening()), Proven::No, why);
    }

    Task<void> compare_capabilities() {
        const auto offered = co_await upstream_->list_capabilities();
        if (!offered) co_return add(step_, Proven::No, offered.error().detail);
        report_.offered.push_back(compare_offer(service_, announced_, *offered, own_keys_));
        const auto missing = lacking(service_, announced_, *offered);
        if (missing.empty()) co_return add(step_, Proven::Yes, "");
        add(step_, Proven::No, "front ends announce what it lacks: " + joined(missing));
    }

    Task<void> log_in() {
        const auto message = wire::sasl::write_plain({}, login_, random_name(24));
        if (!message) co_return add(step_, Proven::No, message.error().detail);
        const UpstreamLogin login{
            .introduction = {.client = client_, .local = server_, .session_id = session_},
            .mechanism = wire::sasl::Mechanism::Plain,
            .message = *message};
        const auto step = co_await upstream_->begin(login);
        if (!step) co_return add(step_, Proven::No, step.error().detail);
        const bool denied = step->kind == SaslStep::Kind::Denied;
        add(step_, denied ? Proven::Yes : Proven::No,
            denied ? "it refuses a made-up name" : "it lets a made-up name in");
        report_.introduced.push_back({service_, login_, client_.address.text(), session_});
    }

    net::Loop& loop_;
    const UpstreamSettings& settings_;
    Service service_;
    ServerReport& report_;
    std::string login_;
    Endpoint client_;
    std::string session_;
    Endpoint server_;
    std::shared_ptr<const UpstreamTarget> target_;
    std::vector<std::string> announced_;
    bool own_keys_ = false;
    std::unique_ptr<Upstream> upstream_;
    std::string_view step_;  ///< empty while open() runs, which knows itself
};

std::vector<std::string> announced_by(const cluster::Server& server, Service service) {
    const auto& own = server.service(service)->capabilities;
    return own.empty() ? cluster::builtin_capabilities(service, server) : own;
}

/// What a front end does by itself, whatever the server says. It takes no referrals: it is where
/// accounts are found.
bool is_front_ends_own(std::string_view item) {
    return item == "STARTTLS" || item == "STLS" || item == "LOGINDISABLED" || item == "SASL" ||
           item == "LOGIN-REFERRALS";
}

void add_mechanisms(std::string_view words, std::vector<std::string>& items) {
    while (!words.empty()) {
        const std::size_t space = words.find(' ');
        const std::string_view word = words.substr(0, space);
        if (wire::sasl::routable(word)) items.push_back("AUTH=" + std::string(word));
        words = space == words.npos ? std::string_view() : words.substr(space + 1);
    }
}

/// The words of the SIEVE capability, which are the interpreter's extensions.
std::vector<std::string> sieve_items(const wire::Capabilities& offered) {
    std::vector<std::string> items;
    std::istringstream words{std::string(offered.value("SIEVE"))};
    for (std::string word; words >> word;) items.push_back(word);
    add_mechanisms(offered.value("SASL"), items);
    return items;
}

bool offers(Service service, const std::string& item, const wire::Capabilities& offered) {
    constexpr std::string_view kMechanism = "AUTH=";
    if (is_front_ends_own(item) || offered.has(item)) return true;
    if (item.starts_with(kMechanism)) {
        return offered.has_word("SASL", std::string_view(item).substr(kMechanism.size()));
    }
    if (service == Service::Sieve) return offered.has_word("SIEVE", item);
    const std::size_t space = item.find(' ');
    return space != std::string::npos && offered.has(item.substr(0, space));
}

}  // namespace

std::string_view name(Proven proven) {
    switch (proven) {
        case Proven::Yes: return "ok";
        case Proven::No: return "failed";
        case Proven::Cannot: break;
    }
    return "not provable";
}

Task<ServerReport> ServerCheck::run(ServerName server) {
    ServerReport report;
    const auto topology = topology_.current();
    const cluster::ServerView* view = topology->server(server.view());
    if (view == nullptr) co_return report;
    TargetTable targets(settings_);
    targets.follow(topology);
    for (const Service service : cluster::kServices) {
        const cluster::ServiceSettings* settings = view->server.service(service);
        if (settings == nullptr) continue;
        ServiceCheck check(loop_, settings_, service, report);
        const auto target = targets.target(*view, service);
        const auto address = hosts_.find(view->server.host);
        if (!target || !address) {
            const Error& error = target ? address.error() : target.error();
            check.add(target ? "connect" : "tls", Proven::No, error.detail);
            continue;
        }
        co_await check.run(*target, {*address, settings->port},
                           targets.source(view->server, *address), made_up_name(*topology, server),
                           announced_by(view->server, service), !view->server.node.empty());
    }
    co_return report;
}

std::vector<std::string> entry_items(Service service, const wire::Capabilities& offered) {
    if (service == Service::Sieve) return sieve_items(offered);
    constexpr std::string_view kMechanism = "AUTH=";
    std::vector<std::string> items;
    std::string mechanisms(offered.value("SASL"));
    for (const auto& [name, value] : offered.entries()) {
        if (name.starts_with(kMechanism)) {
            mechanisms += ' ' + name.substr(kMechanism.size());
        } else if (!is_front_ends_own(name)) {
            items.push_back(value.empty() ? name : name + ' ' + value);
        }
    }
    add_mechanisms(mechanisms, items);
    return items;
}

Offered compare_offer(Service service, std::span<const std::string> announced,
                      const wire::Capabilities& offered, bool own_keys) {
    Offered result{
        service, entry_items(service, offered), {}, lacking(service, announced, offered)};
    const auto is_new = [&](const std::string& item) {
        return std::ranges::none_of(
            announced, [&](const std::string& other) { return wire::equal_folded(item, other); });
    };
    if (own_keys) {
        std::erase_if(result.items, [&](const std::string& item) {
            return wire::equal_folded(item, "AUTH=SCRAM-SHA-1") && is_new(item);
        });
    }
    std::ranges::copy_if(result.items, std::back_inserter(result.gained), is_new);
    return result;
}

std::vector<std::string> lacking(Service service, std::span<const std::string> announced,
                                 const wire::Capabilities& offered) {
    std::vector<std::string> missing;
    for (const std::string& item : announced) {
        if (!offers(service, item, offered)) missing.push_back(item);
    }
    return missing;
}

std::vector<Proof> judge_introduction(const Introduced& introduced, std::string_view client,
                                      std::string_view session) {
    const auto proof = [&](std::string_view step, const std::string& told, std::string_view taken) {
        if (told == taken) return Proof{introduced.service, step, Proven::Yes, told};
        return Proof{introduced.service, step, Proven::No,
                     "told " + told + ", it took " + (taken.empty() ? "none" : std::string(taken)) +
                         ": does it trust this front end (login_trusted_networks)?"};
    };
    return {proof("client-address", introduced.client, client),
            proof("session-id", introduced.session, session)};
}

std::vector<Proof> unknown_introduction(Service service, Proven proven, const std::string& why) {
    return {{service, "client-address", proven, why}, {service, "session-id", proven, why}};
}

}  // namespace muster::frontend
