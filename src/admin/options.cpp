#include "admin/options.h"

#include <array>
#include <charconv>
#include <limits>

namespace muster::admin {
namespace {

using enum OptionType;

constexpr std::array kSections{
    Section{"node", false, "The node itself."},
    Section{"cluster", false, "The network between the nodes (HTTPS, keys pinned in the state)."},
    Section{
        "follow", true,
        "Another network that this node follows, besides being a member of its own cluster: what "
        "it takes from there is its mode. Of a domain that several have, the own cluster's "
        "counts, then that of the first section."},
    Section{"admin", false, "Where this node can be administered and watched."},
    Section{"listener", true, "One address on which a front end serves clients."},
    Section{"certificate", true,
            "A certificate kept in files of this node; others come from the state.", true},
    Section{"tls", false, "TLS towards clients."},
    Section{"limits", false, "What clients may take from a front end."},
    Section{"mail", false, "Mail in (listeners of smtp and submission), and the queue."},
    Section{"upstream", false, "Connections of a front end to the servers."},
    Section{"backend", false, "The Dovecot beside this node (role backend)."},
};

constexpr std::string_view kSeconds = "seconds";
constexpr std::string_view kSomeSeconds = "1..86400";

constexpr std::array kOptions{
    Option{"node", "name", Text, R"("")", "", "", "Name of the node, unique in the cluster."},
    Option{"node", "roles", TextList, R"(["symmetric"])", "", "master|frontend|backend|symmetric",
           "What this node does: master writes the state, frontend faces clients, backend stands "
           "beside a Dovecot; symmetric is frontend and backend."},
    Option{"node", "cluster_type", Text, R"("static")", "", "static",
           "static: every account names its home."},
    Option{"node", "state_dir", Path, R"("/var/lib/muster")", "", "",
           "Folder of the state or its replica, the node's key and the admin socket."},
    Option{"node", "workers", Number, "0", "threads", "0..256",
           "Threads that serve clients; 0: one for each core."},
    Option{"node", "user", Text, R"("")", "", "",
           "User to become once the ports are bound, when started as root; empty: stay. It owns "
           "state_dir and must be able to read this file and the keys of certificates. Not with "
           "the role backend, which stays root to end processes of Dovecot."},
    Option{"node", "log_level", Text, R"("info")", "", "debug|info|warning|error|off",
           "Least level of what is logged.", true},
    Option{"node", "log_format", Text, R"("logfmt")", "", "logfmt|json", "Form of log lines.",
           true},
    Option{"node", "drain_time", Number, "30", kSeconds, "0..86400",
           "How long sessions may go on after the node was told to stop.", true},

    Option{"cluster", "listen", Text, R"("")", "ADDRESS:PORT", "",
           "Where this node listens for other nodes, usually port 7700; empty: nowhere."},
    Option{"cluster", "advertise", Text, R"("")", "HOST:PORT", "",
           "How other nodes reach that listener; empty: as in listen."},
    Option{"cluster", "source_address", Text, R"("")", "ADDRESS", "",
           "Local address of connections to other nodes; empty: the system chooses."},
    Option{"cluster", "allow", TextList, R"(["127.0.0.0/8", "::1/128"])", "NETWORK", "",
           "Addresses from which cluster connections are accepted."},
    Option{"cluster", "clear_listen", Text, R"("")", "ADDRESS:PORT", "",
           "A second listener for followers without encryption (TLS with a NULL cipher: both sides "
           "are proven and every record is signed, nothing is hidden); empty: none."},
    Option{"cluster", "clear_from", TextList, "[]", "NETWORK", "",
           "Who may connect there; private networks only. Followers of scope relay or mirror."},
    Option{"cluster", "masters", TextList, "[]", "HOST:PORT", "",
           "Where to follow the state: tried in turn before the stand-ins that are known while "
           "nobody is known to lead, else after the master and them. This node's own address is "
           "left out. A node that belongs to no cluster yet joins there when it starts, if user "
           "and password_file are set."},
    Option{"cluster", "user", Text, R"("")", "", "",
           "Administrator of the cluster with whose password this node joins."},
    Option{"cluster", "password_file", Path, R"("")", "", "",
           "File with that password on its first line, readable by its owner only; used once, and "
           "removed after the join."},
    Option{"cluster", "update_interval", Number, "0", kSeconds, "0..86400",
           "0: changes are streamed at once; otherwise they are fetched this often."},
    Option{"cluster", "inactivity_timeout", Number, "30", kSeconds, kSomeSeconds,
           "A stream of changes that is silent for so long is opened anew."},
    Option{"cluster", "absent_after", Number, "300", kSeconds, kSomeSeconds,
           "On a master: a member that does not follow for so long is an alarm."},

    Option{"follow", "name", Text, R"("")", "", "",
           "Name of the network in this file and in what the node tells of it."},
    Option{"follow", "host", Text, R"("")", "", "", "Host name or address of its master."},
    Option{"follow", "port", Number, "7700", "port", "1..65535",
           "Its cluster port (cluster.listen there; without encryption cluster.clear_listen)."},
    Option{
        "follow", "user", Text, R"("")", "", "",
        "An administrator there, with whose password this node joins once; empty: muster cluster "
        "join --follow NAME does it."},
    Option{"follow", "password_file", Path, R"("")", "", "",
           "File with that password on its first line, readable by its owner only; used once, and "
           "removed after the join."},
    Option{"follow", "node_name", Text, R"("")", "", "",
           "What this node is called there; empty: as here."},
    Option{"follow", "inactivity_timeout", Number, "30", kSeconds, kSomeSeconds,
           "A stream of changes that is silent for so long is opened anew."},
    Option{"follow", "update_interval", Number, "0", kSeconds, "0..86400",
           "0: changes are streamed at once; otherwise they are fetched this often."},
    Option{"follow", "encryption", Switch, "true", "", "",
           "Off: both sides are proven and everything is signed, but who listens on the way can "
           "read it. Only towards private addresses, and where the master allows it; stand-ins of "
           "the master are not tried then."},
    Option{
        "follow", "mode", Text, R"("relay")", "", "relay|mirror",
        "relay: its local domains are domains to accept mail for here; mirror: its remote domains "
        "are here with the same options. What is seen is decided by its master."},
    Option{"follow", "hand_to", Text, R"("home")", "", "home|master",
           "Mail for a relayed domain goes straight to the server of the account, or to the SMTP "
           "listeners of that network's front ends."},
    Option{"follow", "domains", TextList, "[]", "DOMAIN", "",
           "Domains that are taken from that network: names, or *.NAME for all below one; empty: "
           "all that it says it has. Set it for each network that is not of your own house."},
    Option{"follow", "default_for", Switch, "false", "", "",
           "Whether default_for of its domains counts for login names without a domain here, "
           "after own domains and listener.default_domain."},

    Option{"admin", "socket", Path, R"("")", "", "",
           "Unix socket of the API, open to the user of the process only; empty: admin.sock in "
           "state_dir."},
    Option{"admin", "listen", Text, R"("")", "ADDRESS:PORT", "",
           "HTTP listener of API, metrics and health; administrators log in with a password; "
           "empty: none."},
    Option{"admin", "tls", Switch, "false", "", "",
           "HTTPS on that listener, with the node's certificates. Off is for loopback only."},

    Option{"listener", "protocol", Text, R"("imap")", "", "imap|pop3|sieve|smtp|submission",
           "Protocol served: smtp is mail from other servers (port 25), submission mail from "
           "clients (587, 465)."},
    Option{"listener", "address", Text, R"("")", "ADDRESS:PORT", "",
           "Address and port; several listeners may serve one protocol."},
    Option{"listener", "tls", Text, R"("starttls")", "", "none|starttls|implicit",
           "none: clear text, passwords included; starttls: passwords only after STARTTLS; "
           "implicit: TLS from the first byte."},
    Option{"listener", "default_domain", Text, R"("")", "", "",
           "Domain of login names without one, after local address and TLS server name."},
    Option{"listener", "proxy_from", TextList, "[]", "NETWORK", "",
           "Load balancers that send a PROXY protocol header (v1 or v2) on this listener."},

    Option{"certificate", "chain", Path, R"("")", "", "", "PEM file: certificate and chain."},
    Option{"certificate", "key", Path, R"("")", "", "", "PEM file: private key."},
    Option{"certificate", "names", TextList, "[]", "", "",
           "Server names it is for; empty: those in the certificate."},

    Option{"tls", "minimum", Text, R"("1.2")", "", "1.2|1.3", "Oldest TLS version accepted.", true},

    Option{"limits", "connections", Number, "9500", "connections", "1..1000000",
           "Client connections of the whole process; two files are open for each."},
    Option{"limits", "connections_per_address", Number, "500", "connections", "1..1000000",
           "Client connections from one address (IPv6: one /64)."},
    Option{"limits", "login_time", Number, "60", kSeconds, kSomeSeconds,
           "From connecting to being logged in."},
    Option{"limits", "failures", Number, "10", "logins", "1..1000000",
           "Failed logins from one address in the window before it has to wait."},
    Option{"limits", "failure_window", Number, "300", kSeconds, kSomeSeconds,
           "Window in which failures count, and the wait."},
    Option{"limits", "commands_before_login", Number, "50", "commands", "1..100000",
           "Commands a client may send before it is logged in."},
    Option{"limits", "line", Number, "8192", "bytes", "512..1048576", "Longest line before login."},
    Option{"limits", "literal", Number, "4096", "bytes", "64..1048576",
           "Largest literal before login."},
    Option{"limits", "idle_imap", Number, "1800", kSeconds, kSomeSeconds,
           "Silence after which an IMAP session ends."},
    Option{"limits", "idle_pop3", Number, "600", kSeconds, kSomeSeconds,
           "Silence after which a POP3 session ends."},
    Option{"limits", "idle_sieve", Number, "1800", kSeconds, kSomeSeconds,
           "Silence after which a ManageSieve session ends."},

    Option{"mail", "host_name", Text, R"("")", "", "",
           "This node's name in greetings, towards servers and in Received; empty: the system's "
           "host name."},
    Option{"mail", "authserv_id", Text, R"("")", "", "",
           "The name under which this node tells what it found out about senders "
           "(Authentication-Results); fields of strangers in that name are removed. Front ends of "
           "one site should share it; empty: host_name."},
    Option{"mail", "queue_dir", Path, R"("")", "", "",
           "Folder of the queue; empty: queue in state_dir."},
    Option{"mail", "store", Switch, "true", "", "",
           "Whether mail may be queued; without, it is only delivered in line or refused for now."},
    Option{"mail", "message_bytes", Number, "52428800", "bytes", "65536..1073741824",
           "Largest message taken."},
    Option{"mail", "memory_bytes", Number, "32768", "bytes", "4096..16777216",
           "What is kept of a message in memory; the rest goes to disk."},
    Option{"mail", "recipients", Number, "1000", "recipients", "100..100000",
           "Recipients of a message."},
    Option{"mail", "hops", Number, "50", "fields", "10..1000",
           "Received fields in a message; more are a loop."},
    Option{"mail", "errors", Number, "20", "commands", "1..100000",
           "Commands of a session that make no sense before it is ended."},
    Option{"mail", "unknown_recipients", Number, "100", "recipients", "1..1000000000",
           "Unknown recipients that one address may name in five minutes; then its answers are "
           "slowed."},
    Option{"mail", "tarpit", Number, "1", kSeconds, "0..60",
           "How much later they get each packet's answers."},
    Option{"mail", "account_recipients", Number, "2000", "recipients", "1..1000000000",
           "Recipients that one account may send to in an hour through this node."},
    Option{"mail", "client_connections", Number, "0", "connections", "0..1000000000",
           "Connections of one client address (IPv6: one /64) in a minute; 0: any number. Not for "
           "xclient_from, relay_from and the cluster's servers."},
    Option{"mail", "client_messages", Number, "0", "messages", "0..1000000000",
           "Messages of one client address in a minute; 0: any number. Not for logins, relay_from "
           "and the cluster's servers."},
    Option{"mail", "idle", Number, "300", kSeconds, kSomeSeconds,
           "Silence after which a session ends."},
    Option{
        "mail", "message_time", Number, "1800", kSeconds, kSomeSeconds,
        "How long a message may take to come in, and a second more for each 1,024 bytes of it, at "
        "most two hours more."},
    Option{"mail", "in_line_time", Number, "60", kSeconds, kSomeSeconds,
           "How long all servers together may take for a message while its client waits."},
    Option{"mail", "stale_after", Number, "900", kSeconds, kSomeSeconds,
           "Once this node has not heard of its master for so long, unknown recipients are refused "
           "for now only."},
    Option{"mail", "xclient_from", TextList, "[]", "NETWORK", "",
           "Peers that may say for whom they speak (XCLIENT)."},
    Option{"mail", "relay_from", TextList, "[]", "NETWORK", "",
           "Peers that may send to any address, such as the site's own servers."},
    Option{"mail", "client_names", Switch, "true", "", "",
           "Whether the names of clients are looked up (DNS, at most 2 seconds) where mail from "
           "other servers comes in, for Received, the servers and the log."},
    Option{
        "mail", "reserve", Number, "268435456", "bytes", "0..1099511627776",
        "Free space of the queue's disk below which no mail is taken; reports may use half of it."},
    Option{"mail", "smart_host", TextList, "[]", "HOST[:PORT]", "",
           "Servers that take all mail to the world, in order; empty: the MX of each domain."},
    Option{
        "mail", "smart_host_user", Text, R"("")", "", "",
        "Name with which this node logs in to smart hosts (AUTH PLAIN or LOGIN), under TLS with a "
        "certificate of a known authority for the host's name; not to the hosts of a domain's "
        "route; empty: no login."},
    Option{"mail", "smart_host_password_file", Path, R"("")", "", "",
           "File with the password for that, on its first line."},
    Option{"mail", "retry_first", Number, "60", kSeconds, kSomeSeconds,
           "How long a queued message waits after its first failed try; then more and more."},
    Option{"mail", "retry_longest", Number, "7200", kSeconds, "1..604800",
           "How long it waits between tries in the end."},
    Option{"mail", "expire_after", Number, "432000", kSeconds, "1..31536000",
           "Age at which it is given up and its sender is told; holds for mail that comes from now "
           "on."},
    Option{"mail", "delay_report_after", Number, "14400", kSeconds, "0..31536000",
           "Age at which its sender is told of the delay; 0: never."},
    Option{"mail", "out_port", Number, "25", "port", "1..65535",
           "Port of other sites' mail servers; another one is for tests."},
    Option{"mail", "source_addresses", TextList, "[]", "ADDRESS", "",
           "Local addresses of connections to the world, used in turn; empty: the system chooses."},
    Option{"mail", "dns_servers", TextList, "[]", "ADDRESS[@PORT]", "",
           "Resolvers to ask; empty: those of the system."},
    Option{"mail", "dkim_dir", Path, R"("")", "", "",
           "Folder into which the cluster's DKIM keys are written, as DOMAIN.SELECTOR.key, for the "
           "filter that signs mail; what else is there stays. Empty: dkim in state_dir."},
    Option{"mail", "dkim_group", Text, R"("")", "", "",
           "System group that may read them, such as the filter's; Muster's user must be in it, or "
           "the folder must pass its group on (setgid). Empty: their owner alone."},
    Option{"mail", "trust_anchor", Path, R"("")", "", "",
           "File with the root's DNSSEC keys, which DANE needs; empty: nothing is validated."},
    Option{
        "mail", "socketmap", Text, R"("")", "ADDRESS:PORT", "",
        "Where other mail servers, such as Postfix, may ask for domains, recipients, aliases and "
        "homes; empty: nowhere."},
    Option{"mail", "socketmap_from", TextList, "[]", "NETWORK", "",
           "Who may ask there, besides this machine itself; needed when the address is not that of "
           "the machine alone."},

    Option{"upstream", "source_addresses", TextList, "[]", "ADDRESS", "",
           "Local addresses of connections to servers, used in turn; empty: the system chooses."},
    Option{"upstream", "warm", Number, "4", "connections", "0..1000",
           "Greeted connections kept ready for each server and protocol, shared out among the "
           "workers, where the server entry sets no cache; 0: none."},
    Option{"upstream", "connect_time", Number, "5", kSeconds, kSomeSeconds,
           "From connecting to a server to its greeting, TLS included."},
    Option{"upstream", "login_time", Number, "30", kSeconds, kSomeSeconds,
           "How long a server may take to answer a login."},
    Option{"upstream", "ca", Path, R"("")", "", "",
           "PEM file of authorities for servers; the cluster's own is always trusted."},
    Option{"upstream", "check_interval", Number, "10", kSeconds, kSomeSeconds,
           "Time between two checks of a server's service."},
    Option{"upstream", "check_retry", Number, "1", kSeconds, kSomeSeconds,
           "The same while it is down, or a check or a client's connection has failed."},
    Option{"upstream", "up_after", Number, "2", "checks", "1..100",
           "Good checks in a row that bring a service back."},
    Option{"upstream", "down_after", Number, "3", "checks", "1..100",
           "Failed checks in a row that take it away."},
    Option{"upstream", "traffic_failures", Number, "5", "connections", "1..60",
           "Failed connections for clients within traffic_window that take it away, too, ..."},
    Option{"upstream", "traffic_clients", Number, "2", "addresses", "1..60",
           "... if they were for at least so many client addresses."},
    Option{"upstream", "traffic_window", Number, "30", kSeconds, kSomeSeconds,
           "How long a failed connection is remembered."},

    Option{"backend", "server", Text, R"("")", "", "",
           "Name of the server entry that is this Dovecot; empty: the node's name."},
    Option{"backend", "base_dir", Path, R"("/run/dovecot")", "", "",
           "Dovecot's base_dir: where its sockets are."},
    Option{"backend", "config", Path, R"("/etc/dovecot/dovecot.conf")", "", "",
           "Dovecot's configuration file; what dovecot-config prints refers to files beside it."},
    Option{"backend", "dict_socket", Path, R"("")", "", "",
           "Unix socket on which Dovecot's auth service asks for accounts; empty: muster-auth in "
           "base_dir."},
    Option{"backend", "mail_socket", Path, R"("")", "", "",
           "Unix socket on which mail processes ask for shared mailboxes; empty: muster-mail in "
           "base_dir."},
    Option{
        "backend", "dict_socket_group", Text, R"("")", "", "",
        "Group that may use dict_socket (that of Dovecot's auth service); empty: only our user."},
    Option{"backend", "auth_socket", Path, R"("")", "", "",
           "Dovecot's auth socket, for SASL exchanges; empty: auth-muster in base_dir."},
    Option{
        "backend", "lookup_listen", Text, R"("")", "", "",
        "ADDRESS:PORT on loopback where Dovecot 2.4's scripts ask for accounts; empty: nowhere."},
    Option{"backend", "mail_out_listen", Text, R"("127.0.0.1:2525")", "ADDRESS:PORT", "",
           "Where Dovecot hands in mail that is made beside it (Sieve redirects, vacations), a "
           "loopback address; it goes on to the front ends in turn. Empty: nowhere."},
    Option{"backend", "mail_out_to", TextList, "[]", "HOST:PORT", "",
           "SMTP listeners that it goes to; empty: those that the cluster's front ends say they "
           "have."},
    Option{"backend", "mail_root", Path, R"("/var/mail/muster")", "", "",
           "Folder under which accounts have their homes, by account id."},
    Option{"backend", "mail_uid", Number, "0", "", "0..4294967294",
           "User id that owns mail; 0: the user of the process."},
    Option{"backend", "mail_gid", Number, "0", "", "0..4294967294",
           "Group id that owns mail; 0: the group of the process."},
};

std::size_t distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> row(right.size() + 1);
    for (std::size_t j = 0; j <= right.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= left.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t replaced = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

/// Keeps the nearest of the names it is shown, if it is near enough to be what was meant.
class Nearest {
public:
    explicit Nearest(std::string_view wanted)
        : wanted_(wanted), least_(std::max<std::size_t>(2, wanted.size() / 3) + 1) {}
    void consider(std::string_view candidate) {
        const std::size_t found = distance(wanted_, candidate);
        if (found >= least_) return;
        least_ = found;
        best_ = candidate;
    }
    [[nodiscard]] std::optional<std::string_view> best() const { return best_; }

private:
    std::string_view wanted_;
    std::size_t least_;
    std::optional<std::string_view> best_;
};

std::string header(const Section& section) {
    const std::string name(section.name);
    return section.repeated ? "[[" + name + "]]" : "[" + name + "]";
}

/// "number, seconds: 1..86400", "text: imap, pop3, sieve" …
std::string kind(const Option& option) {
    std::string text(name(option.type));
    if (!option.unit.empty()) text += ", " + std::string(option.unit);
    if (option.allowed.empty()) return text;
    std::string allowed(option.allowed);
    for (std::size_t at = 0; (at = allowed.find('|', at)) != std::string::npos; at += 2) {
        allowed.replace(at, 1, ", ");
    }
    return text + ": " + allowed;
}

template <typename Use>
void for_each_option(const Section& section, Use use) {
    for (const Option& option : kOptions) {
        if (option.section == section.name) use(option);
    }
}

constexpr std::string_view kAtReload = " A reload takes changes over.";

std::string explained(const Option& option) {
    return std::string(option.text) + std::string(option.at_reload ? kAtReload : "");
}

std::string explained(const Section& section) {
    return std::string(section.text) + std::string(section.at_reload ? kAtReload : "");
}

std::string manual_entry(const Option& option) {
    const bool empty = option.fallback == R"("")" || option.fallback == "[]";
    return ".TP\n.B " + std::string(option.name) + "\n" + explained(option) + " (" + kind(option) +
           "; default: " + (empty ? "empty" : std::string(option.fallback)) + ")\n";
}

}  // namespace

std::span<const Section> sections() { return kSections; }
std::span<const Option> options() { return kOptions; }

const Section* find_section(std::string_view wanted) {
    const auto* const found = std::ranges::find(kSections, wanted, &Section::name);
    return found == kSections.end() ? nullptr : found;
}

const Option* find_option(std::string_view section, std::string_view wanted) {
    for (const Option& option : kOptions) {
        if (option.section == section && option.name == wanted) return &option;
    }
    return nullptr;
}

std::string_view name(OptionType type) {
    switch (type) {
        case Text: return "text";
        case Path: return "path";
        case Switch: return "true or false";
        case Number: return "number";
        case TextList: return "list of texts";
    }
    return "";
}

bool allows(const Option& option, std::int64_t number) {
    const std::size_t dots = option.allowed.find("..");
    if (dots == std::string_view::npos) return true;
    std::int64_t low = 0;
    std::int64_t high = std::numeric_limits<std::int64_t>::max();
    const std::string_view least = option.allowed.substr(0, dots);
    const std::string_view most = option.allowed.substr(dots + 2);
    std::from_chars(least.data(), least.data() + least.size(), low);
    std::from_chars(most.data(), most.data() + most.size(), high);
    return low <= number && number <= high;
}

bool allows(const Option& option, std::string_view text) {
    if (option.allowed.empty()) return true;
    std::string_view rest = option.allowed;
    while (!rest.empty()) {
        const std::size_t bar = rest.find('|');
        if (rest.substr(0, bar) == text) return true;
        rest = bar == std::string_view::npos ? std::string_view{} : rest.substr(bar + 1);
    }
    return false;
}

std::optional<std::string_view> nearest_section(std::string_view wanted) {
    Nearest nearest(wanted);
    for (const Section& section : kSections) nearest.consider(section.name);
    return nearest.best();
}

std::optional<std::string_view> nearest_option(std::string_view section, std::string_view wanted) {
    Nearest nearest(wanted);
    for (const Option& option : kOptions) {
        if (option.section == section) nearest.consider(option.name);
    }
    return nearest.best();
}

std::string reference_page() {
    std::string page =
        "# The node file\n\n"
        "Made by `muster reference` from the table of options; do not edit.\n\n"
        "`/etc/muster/muster.toml` (TOML) holds what is particular to one node; everything else "
        "is in the cluster's\nstate. Unknown names are errors. `muster check --config FILE` proves "
        "a file; `muster sample-config` prints one.\n";
    for (const Section& section : kSections) {
        page += "\n## " + header(section) + "\n" + explained(section) +
                "\n\n| name | default | kind | meaning |\n|---|---|---|---|\n";
        for_each_option(section, [&page](const Option& option) {
            page += "| `" + std::string(option.name) + "` | `" + std::string(option.fallback) +
                    "` | " + kind(option) + " | " + explained(option) + " |\n";
        });
    }
    return page;
}

std::string sample_file() {
    std::string file =
        "# A node of a Muster cluster. Every option with its default; `muster check --config FILE` "
        "proves the file.\n";
    for (const Section& section : kSections) {
        file += "\n# " + explained(section) + "\n" + (section.repeated ? "# " : "") +
                header(section) + "\n";
        for_each_option(section, [&file](const Option& option) {
            file += "# " + explained(option) + " (" + kind(option) + ")\n# " +
                    std::string(option.name) + " = " + std::string(option.fallback) + "\n";
        });
    }
    return file;
}

std::string manual_page() {
    std::string page =
        ".TH MUSTER.TOML 5 \"\" \"Muster\" \"Muster\"\n.SH NAME\nmuster.toml \\- node file of "
        "Muster\n.SH DESCRIPTION\nHolds what is particular to one node of a cluster. TOML; unknown "
        "names are errors. Proven by\n.BR \"muster check\" .\n";
    for (const Section& section : kSections) {
        page += ".SH " + header(section) + "\n" + explained(section) + "\n";
        for_each_option(section, [&page](const Option& option) { page += manual_entry(option); });
    }
    return page;
}

}  // namespace muster::admin
