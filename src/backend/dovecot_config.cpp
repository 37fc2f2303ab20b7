#include "backend/dovecot_config.h"

#include <string_view>
#include <utility>

#include "backend/dovecot_config_24.h"
#include "backend/template_text.h"

namespace muster::backend {
namespace {

using Input = DovecotConfigInput;

struct NamedService {
    std::string_view protocol;               ///< as in `protocols`
    std::string_view listens;                ///< the service that takes connections
    std::string_view serves;                 ///< the one that runs sessions after login
    std::vector<std::string_view> defaults;  ///< Dovecot's own listeners, to be switched off
    const DovecotService* set;
};

std::vector<NamedService> services_of(const Input& input) {
    std::vector<NamedService> all = {
        {"imap", "imap-login", "imap", {"imap", "imaps"}, &input.imap},
        {"pop3", "pop3-login", "pop3", {"pop3", "pop3s"}, &input.pop3},
        {"sieve", "managesieve-login", "managesieve", {"sieve"}, &input.sieve},
        {"submission", "submission-login", "submission", {"submission"}, &input.submission},
        {"lmtp", "lmtp", "", {}, &input.lmtp},
    };
    std::erase_if(all, [](const NamedService& one) { return one.set->listeners.empty(); });
    return all;
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
    std::string text;
    for (const auto& word : words) {
        if (!text.empty()) text += separator;
        text += word;
    }
    return text;
}

std::string basics(const Input& input) {
    std::string protocols;
    std::vector<std::string> ports;
    for (const auto& one : services_of(input)) {
        (protocols += ' ') += one.protocol;
        for (const auto& listener : one.set->listeners)
            ports.push_back(std::to_string(listener.port));
    }
    return fill(R"(protocols =@protocols@
base_dir = @base_dir@
state_dir = @state_dir@
log_path = @log_path@
hostname = @hostname@
verbose_proctitle = yes
shutdown_clients = yes

# Front ends: they say who the client is (IMAP ID, XCLIENT), and nobody else may.
# Only they need to reach the ports below, and LMTP asks for no password at all. Keep others
# out with the firewall as well, for example in nftables' input chain:
#   tcp dport { @ports@ } ip saddr != { @networks@ } drop
login_trusted_networks = @trusted@

)",
                {{"protocols", protocols},
                 {"base_dir", input.base_dir},
                 {"state_dir", input.state_dir},
                 {"log_path", input.log_path},
                 {"hostname", input.hostname},
                 {"ports", joined(ports, ", ")},
                 {"trusted", joined(input.trusted_networks, " ")},
                 {"networks", joined(input.trusted_networks, ", ")}});
}

std::string own_user(const DovecotUsers& who) {
    std::string text = fill(R"(# Everything under one user, without chroot.
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = @user@
default_internal_group = @group@
default_login_user = @user@
)",
                            {{"user", who.mail}, {"group", who.mail_group}});
    for (std::string_view service : {"anvil", "imap-login", "pop3-login", "managesieve-login",
                                     "submission-login", "imap-urlauth-login"})
        text += fill("service @name@ {\n  chroot =\n}\n", {{"name", std::string(service)}});
    return text;
}

std::string users(const Input& input) {
    const auto& who = input.users;
    const auto mail = fill("mail_uid = @user@\nmail_gid = @group@\n",
                           {{"user", who.mail}, {"group", who.mail_group}});
    if (who.self) return mail + own_user(who) + "\n";
    return mail +
           fill(R"(first_valid_uid = 1
default_internal_user = @internal@
default_internal_group = @group@
default_login_user = @login@

)",
                {{"internal", who.internal}, {"group", who.internal_group}, {"login", who.login}});
}

std::string certificate(std::string_view indent, const DovecotService& set) {
    return fill("@in@ssl_cert = <@cert@\n@in@ssl_key = <@key@\n",
                {{"in", std::string(indent)}, {"cert", set.certificate}, {"key", set.key}});
}

std::string tls(const Input& input) {
    std::string text;
    const DovecotService* first = nullptr;
    for (const auto& one : services_of(input)) {
        const bool has_tls = !one.set->certificate.empty();
        if (has_tls && first == nullptr) first = one.set;
        text += fill("protocol @name@ {\n@tls@}\n",
                     {{"name", std::string(one.protocol)},
                      {"tls", has_tls ? certificate("  ", *one.set) : "  ssl = no\n"}});
    }
    if (first == nullptr) return "ssl = no\n\n";
    return "ssl = yes\nssl_min_protocol = TLSv1.2\n" + certificate("", *first) + text + "\n";
}

std::string listeners(const NamedService& one) {
    std::string text;
    for (std::string_view name : one.defaults)
        text +=
            fill("  inet_listener @name@ {\n    port = 0\n  }\n", {{"name", std::string(name)}});
    int number = 0;
    for (const auto& listener : one.set->listeners)
        text += fill(R"(  inet_listener muster@number@ {
    address = @address@
    port = @port@
    ssl = @tls@
  }
)",
                     {{"number", std::to_string(++number)},
                      {"address", listener.address},
                      {"port", std::to_string(listener.port)},
                      {"tls", listener.tls ? "yes" : "no"}});
    return text;
}

/// A process that runs sessions runs one at a time, so that ending one ends no other.
std::string service(const NamedService& one, const Input& input) {
    if (one.protocol == "lmtp")
        return "service lmtp {\n" + listeners(one) + "  client_limit = 1\n}\n";
    return fill(R"(service @listens@ {
@listeners@  service_count = 0
  process_min_avail = 1
  client_limit = @clients@
}
service @serves@ {
  service_count = 1
  client_limit = 1
  process_limit = @sessions@
}
)",
                {{"listens", std::string(one.listens)},
                 {"listeners", listeners(one)},
                 {"clients", std::to_string(input.max_sessions + 100)},
                 {"serves", std::string(one.serves)},
                 {"sessions", std::to_string(input.max_sessions)}});
}

std::string services(const Input& input) {
    std::string text;
    for (const auto& one : services_of(input)) text += service(one, input);
    return text + "\n";
}

std::string database(std::string_view kind, std::string_view lines, const Input& input) {
    return fill(
        "@kind@ {\n  args = @dir@/@lines@}\n",
        {{"kind", std::string(kind)}, {"dir", input.config_dir}, {"lines", std::string(lines)}});
}

std::string databases(const Input& input) {
    std::string text = "# One-use tokens of the agent, as master users.\n";
    text += database("passdb", "muster-tokens.conf.ext\n  driver = dict\n  master = yes\n", input);
    if (!input.oauth2.introspection_url.empty())
        text += database("passdb",
                         "muster-oauth2.conf.ext\n  driver = oauth2\n"
                         "  mechanisms = oauthbearer xoauth2\n",
                         input);
    text += database("passdb", "muster-accounts.conf.ext\n  driver = dict\n", input);
    // uid and gid stand in each answer because a session may look up others (shared mailboxes)
    // only if they have its own uid.
    const auto owner = fill("  default_fields = uid=@user@ gid=@group@\n",
                            {{"user", input.users.mail}, {"group", input.users.mail_group}});
    return text + database("userdb", "muster-accounts.conf.ext\n  driver = dict\n" + owner, input) +
           "\n";
}

/// Dovecot wants the names of sockets in its own directory without the directory.
std::string relay_listener(const Input& input) {
    std::string path = input.relay_socket;
    if (path.empty()) return "";
    if (path.starts_with(input.base_dir + "/")) path.erase(0, input.base_dir.size() + 1);
    return fill("  unix_listener @path@ {\n    mode = 0600\n  }\n", {{"path", path}});
}

std::string authentication(const Input& input) {
    const bool oauth = !input.oauth2.introspection_url.empty();
    return fill(R"(auth_mechanisms = plain scram-sha-1 scram-sha-256@oauth@
# Names reach the agent as the client wrote them; it folds them by the domain's policy.
auth_username_format = %u
auth_username_chars =
auth_cache_size = 0
# Failures are slowed down and sessions counted where clients come in: at the front ends.
auth_failure_delay = 0
mail_max_userip_connections = 0
service anvil {
  client_limit = @clients@
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  client_limit = @clients@
@relay@}
)",
                {{"oauth", oauth ? " oauthbearer xoauth2" : ""},
                 {"clients", std::to_string(4 * input.max_sessions + 1000)},
                 {"relay", relay_listener(input)}}) +
           databases(input);
}

/// Redirects, vacations and rejects.
std::string mail_out(const Input& input) {
    if (input.mail_out.empty()) return "";
    return fill("# The agent passes it on to the front ends.\nsubmission_host = @host@\n",
                {{"host", input.mail_out}});
}

/// Where another account's mail is, seen from a session that it is shared with.
std::string shared_location(std::string location) {
    if (const auto at = location.find("~/"); at != std::string::npos)
        location.replace(at, 1, "%%h");
    return location + ":INDEXPVT=~/shared/%%u";
}

std::string mail(const Input& input) {
    const bool report = input.last_login;
    const auto last =
        fill("  last_login_dict = proxy:@socket@:muster\n", {{"socket", input.mail_socket}});
    return fill(R"(mail_location = @location@
lda_mailbox_autocreate = yes
# Non-zero makes deliveries visible to `doveadm who` from RCPT on.
lmtp_user_concurrency_limit = 1000
namespace inbox {
  inbox = yes
  separator = /
}
namespace shared {
  type = shared
  separator = /
  prefix = shared/%%u/
  location = @shared@
  subscriptions = no
  list = children
}
mail_plugins = acl quota
protocol imap {
  mail_plugins = $mail_plugins imap_acl imap_quota@last_plugin@
}
protocol pop3 {
  mail_plugins = $mail_plugins@last_plugin@
}
protocol lmtp {
  mail_plugins = $mail_plugins sieve
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
  quota = count:User quota
  quota_vsizes = yes
  acl = vfile
  acl_user = %u
  acl_shared_dict = proxy:@socket@:muster
@last@}
)",
                {{"location", input.mail_location},
                 {"shared", shared_location(input.mail_location)},
                 {"last_plugin", report ? " last_login" : ""},
                 {"socket", input.mail_socket},
                 {"last", report ? last : ""}});
}

std::string main_file(const Input& input) {
    return "# Dovecot 2.3 with Muster as its account authority, printed by\n"
           "# `muster backend dovecot-config`: print it again rather than edit it.\n\n" +
           basics(input) + users(input) + tls(input) + services(input) + authentication(input) +
           mail(input) + mail_out(input) + input.extra;
}

/// The name that the client gave is followed by the account that a trusted front end resolved
/// for it: SCRAM signs the name as typed, so the two may differ. Address and session id let
/// `muster server check` see whether Dovecot believes its front ends.
std::string accounts_file(const Input& input) {
    return fill(R"(uri = proxy:idle_msecs=60000:@socket@:muster
default_pass_scheme = PLAIN
iterate_prefix = userdb/
key passdb {
  key = passdb/%m/%u/%{passdb:forward_muster_account}/%{rip}/%{session}
  format = json
}
key userdb {
  key = userdb/%u
  format = json
}
passdb_objects = passdb
userdb_objects = userdb
)",
                {{"socket", input.auth_socket}});
}

std::string tokens_file(const Input& input) {
    return fill(R"(uri = proxy:idle_msecs=60000:@socket@:muster
default_pass_scheme = PLAIN
iterate_disable = yes
key token {
  key = token/%u/%s/%{login_user}
  format = json
}
passdb_objects = token
)",
                {{"socket", input.auth_socket}});
}

std::string oauth2_file(const DovecotOauth2& set) {
    const auto ca = fill("tls_ca_cert_file = @ca@\n", {{"ca", set.ca}});
    return fill(R"(introspection_url = @url@
introspection_mode = @mode@
force_introspection = yes
username_attribute = @user@
username_format = %u
active_attribute = @active@
active_value = true
timeout_msecs = 5000
@ca@)",
                {{"url", set.introspection_url},
                 {"mode", set.mode},
                 {"user", set.username_attribute},
                 {"active", set.active_attribute},
                 {"ca", set.ca.empty() ? "" : ca}});
}

}  // namespace

std::vector<DovecotFile> dovecot_files(const DovecotConfigInput& input) {
    if (input.version == DovecotVersion::V24) return dovecot_files_24(input);
    std::vector<DovecotFile> files;
    files.push_back({"dovecot.conf", main_file(input)});
    files.push_back({"muster-accounts.conf.ext", accounts_file(input)});
    files.push_back({"muster-tokens.conf.ext", tokens_file(input)});
    if (!input.oauth2.introspection_url.empty())
        files.push_back({"muster-oauth2.conf.ext", oauth2_file(input.oauth2), true});
    return files;
}

std::string dovecot_config(const DovecotConfigInput& input) {
    std::string text;
    for (const auto& file : dovecot_files(input))
        text += "### " + input.config_dir + "/" + file.name + "\n" + file.text + "\n";
    return text;
}

}  // namespace muster::backend
