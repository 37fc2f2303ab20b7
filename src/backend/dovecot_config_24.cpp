#include "backend/dovecot_config_24.h"

#include <string_view>

#include "backend/template_text.h"

namespace muster::backend {
namespace {

using Input = DovecotConfigInput;

constexpr std::string_view kHead =
    R"(# Dovecot 2.4 with Muster as its account authority.
# UNPROVEN: these are 2.4's names of what is proven with 2.3; it has not been run with a 2.4 yet.

dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
)";

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
}

std::string basics(const Input& input, const std::string& protocols) {
    return std::string(kHead) + fill(R"(protocols =@protocols@
base_dir = @base_dir@
state_dir = @state_dir@
log_path = @log_path@
hostname = @hostname@
verbose_proctitle = yes
shutdown_clients = yes
# Front ends; nobody else needs to reach the ports below, and LMTP asks for no password at all.
login_trusted_networks = @trusted@
mail_uid = @user@
mail_gid = @group@
first_valid_uid = 1
default_internal_user = @internal@
default_internal_group = @internal_group@
default_login_user = @login@

)",
                                     {{"protocols", protocols},
                                      {"base_dir", input.base_dir},
                                      {"state_dir", input.state_dir},
                                      {"log_path", input.log_path},
                                      {"hostname", input.hostname},
                                      {"trusted", joined(input.trusted_networks)},
                                      {"user", input.users.mail},
                                      {"group", input.users.mail_group},
                                      {"internal", input.users.internal},
                                      {"internal_group", input.users.internal_group},
                                      {"login", input.users.login}});
}

std::string service(std::string_view protocol, std::string_view listens, const DovecotService& set,
                    const Input& input) {
    std::string listeners;
    int number = 0;
    for (const auto& one : set.listeners)
        listeners += fill(
            "  inet_listener muster@n@ {\n    listen = @address@\n    port = @port@\n    ssl = "
            "@tls@\n"
            "  }\n",
            {{"n", std::to_string(++number)},
             {"address", one.address},
             {"port", std::to_string(one.port)},
             {"tls", one.tls ? "yes" : "no"}});
    std::string text = fill("service @name@ {\n@listeners@  @limit@ = @clients@\n}\n",
                            {{"name", std::string(listens)},
                             {"listeners", listeners},
                             {"limit", protocol == "lmtp" ? "process_limit" : "client_limit"},
                             {"clients", std::to_string(input.max_sessions + 100)}});
    if (!set.certificate.empty())
        text += fill(
            "protocol @name@ {\n  ssl_server_cert_file = @cert@\n  ssl_server_key_file = "
            "@key@\n}\n",
            {{"name", std::string(protocol)}, {"cert", set.certificate}, {"key", set.key}});
    return text;
}

std::string services(const Input& input, std::string& protocols) {
    std::string text = "ssl = yes\nssl_min_protocol = TLSv1.2\n";
    const auto add = [&](std::string_view protocol, std::string_view listens,
                         const DovecotService& set) {
        if (set.listeners.empty()) return;
        (protocols += ' ') += protocol;
        text += service(protocol, listens, set, input);
    };
    add("imap", "imap-login", input.imap);
    add("pop3", "pop3-login", input.pop3);
    add("sieve", "managesieve-login", input.sieve);
    add("submission", "submission-login", input.submission);
    add("lmtp", "lmtp", input.lmtp);
    return text + "\n";
}

std::string authentication(const Input& input) {
    const bool oauth = !input.oauth2.introspection_url.empty();
    const auto provider = fill(R"(passdb oauth2 {
  mechanisms_filter = oauthbearer xoauth2
  oauth2 {
    introspection_url = @url@
    introspection_mode = @mode@
    force_introspection = yes
    username_attribute = @user@
    username_validation_format = %{user}
    active_attribute = @active@
    active_value = true
  }
}
)",
                               {{"url", input.oauth2.introspection_url},
                                {"mode", input.oauth2.mode},
                                {"user", input.oauth2.username_attribute},
                                {"active", input.oauth2.active_attribute}});
    return fill(R"(auth_mechanisms = plain scram-sha-1 scram-sha-256@oauth@
auth_username_format = %{user}
auth_username_chars =
auth_cache_size = 0
auth_failure_delay = 0
mail_max_userip_connections = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener @relay@ {
    mode = 0600
  }
}
passdb lua {
  master = yes
  lua_file = @dir@/muster-tokens.lua
}
@provider@passdb lua {
  lua_file = @dir@/muster-accounts.lua
}
userdb lua {
  lua_file = @dir@/muster-accounts.lua
  fields {
    uid = @user@
    gid = @group@
  }
}

)",
                {{"oauth", oauth ? " oauthbearer xoauth2" : ""},
                 {"relay", input.relay_socket},
                 {"dir", input.config_dir},
                 {"provider", oauth ? provider : ""},
                 {"user", input.users.mail},
                 {"group", input.users.mail_group}});
}

std::string mail(const Input& input) {
    const auto out = fill("submission_host = @host@\n", {{"host", input.mail_out}});
    return fill(R"(mail_driver = maildir
mail_path = ~/mail
lda_mailbox_autocreate = yes
lmtp_user_concurrency_limit = 1000
namespace inbox {
  inbox = yes
  separator = /
}
namespace shared {
  type = shared
  separator = /
  prefix = shared/$user/
  mail_path = %{owner_home}/mail
  mail_index_private_path = ~/shared/%{owner_user}
  subscriptions = no
  list = children
}
mail_plugins {
  acl = yes
  quota = yes
}
protocol imap {
  mail_plugins {
    imap_acl = yes
    imap_quota = yes
  }
}
protocol lmtp {
  mail_plugins {
    sieve = yes
  }
}
sieve_script personal {
  path = ~/sieve
  active_path = ~/.dovecot.sieve
}
quota "User quota" {
  driver = count
}
@out@acl_driver = vfile
acl_user = %{user}
acl_sharing_map {
  dict proxy {
    name = muster
    socket_path = @socket@
  }
}
)",
                {{"socket", input.mail_socket}, {"out", input.mail_out.empty() ? "" : out}});
}

/// What both scripts share: one question over HTTP, answered by lines NAME=VALUE.
std::string lua_ask(const Input& input) {
    return fill(R"(local url = "@url@"
local secret = "@secret@"
local client = dovecot.http.client({ request_timeout = "5s" })

local function encoded(text)
  return (tostring(text or ""):gsub("[^%w]", function(c) return string.format("%%%02X", c:byte()) end))
end

local function ask(path)
  local request = client:request({ url = url .. path })
  request:add_header("Authorization", "Bearer " .. secret)
  local answer = request:submit()
  if answer:status() ~= 200 then return answer:status(), {} end
  local fields = {}
  for name, value in answer:payload():gmatch("([^=\n]+)=([^\n]*)\n") do fields[name] = value end
  return 200, fields
end

)",
                {{"url", input.authority_url}, {"secret", input.authority_secret}});
}

std::string accounts_lua(const Input& input) {
    return lua_ask(input) + R"(function auth_passdb_lookup(request)
  local status, fields = ask("/passdb?mechanism=" .. encoded(request.mechanism) ..
    "&name=" .. encoded(request.user) ..
    "&resolved=" .. encoded(request.passdb and request.passdb.forward_muster_account) ..
    "&client=" .. encoded(request.remote_ip) .. "&session=" .. encoded(request.session))
  if status == 200 then return dovecot.auth.PASSDB_RESULT_OK, fields end
  if status == 404 then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, {} end
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, {}
end

function auth_userdb_lookup(request)
  local status, fields = ask("/userdb?name=" .. encoded(request.user))
  if status == 200 then return dovecot.auth.USERDB_RESULT_OK, fields end
  if status == 404 then return dovecot.auth.USERDB_RESULT_USER_UNKNOWN, {} end
  return dovecot.auth.USERDB_RESULT_INTERNAL_FAILURE, {}
end
)";
}

std::string tokens_lua(const Input& input) {
    return lua_ask(input) + R"(function auth_passdb_lookup(request)
  local status, fields = ask("/token?id=" .. encoded(request.user) ..
    "&service=" .. encoded(request.service) .. "&name=" .. encoded(request.login_user))
  if status == 200 then return dovecot.auth.PASSDB_RESULT_OK, fields end
  if status == 404 then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, {} end
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, {}
end
)";
}

}  // namespace

std::vector<DovecotFile> dovecot_files_24(const DovecotConfigInput& input) {
    std::string protocols;
    const std::string listening = services(input, protocols);
    return {{"dovecot.conf", basics(input, protocols) + listening + authentication(input) +
                                 mail(input) + input.extra},
            {"muster-accounts.lua", accounts_lua(input), true},
            {"muster-tokens.lua", tokens_lua(input), true}};
}

}  // namespace muster::backend
