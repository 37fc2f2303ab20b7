#include "admin/cli.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "admin/commands.h"
#include "admin/files.h"
#include "admin/node_file.h"
#include "admin/prompt.h"
#include "admin/session_report.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr const char* kUsualSocket = "/var/lib/muster/admin.sock";
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

/// Options that belong to all commands are moved to the front, so that they may stand anywhere.
std::vector<std::string> with_common_options_first(int argc, char** argv) {
    constexpr std::array<std::string_view, 3> kFlags{"--json", "--yes", "--password-stdin"};
    constexpr std::array<std::string_view, 6> kValued{
        "--api", "--config", "--user", "--node", "--user-password-file", "--ca"};
    std::vector<std::string> first;
    std::vector<std::string> rest;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const std::string name = word.substr(0, word.find('='));
        const bool flag = std::ranges::find(kFlags, word) != kFlags.end();
        const bool valued = std::ranges::find(kValued, name) != kValued.end();
        (flag || valued ? first : rest).push_back(word);
        if (valued && name == word && i + 1 < argc) first.emplace_back(argv[++i]);
    }
    first.insert(first.end(), rest.begin(), rest.end());
    std::ranges::reverse(first);  // as CLI11 wants it
    return first;
}

int complain(const Error& error, bool wrong_usage) {
    std::fprintf(stderr, "muster: %s\n", printable(error.detail).c_str());
    return wrong_usage ? kWrongUsage : kFailed;
}

}  // namespace

void say(const std::string& text) { std::fputs(text.c_str(), stdout); }

Commands::Commands(CLI::App& app) : app_(app) {
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string("muster ") + MUSTER_VERSION);
    app.add_option("--api", options_.api, "Socket or URL of the API (else $MUSTER_API)");
    app.add_option("--config", options_.config, "Node file")->capture_default_str();
    app.add_option("--node", options_.node,
                   "Node of the cluster that is meant, reached through this one");
    app.add_option("--user", options_.user, "Administrator to log in as");
    app.add_option("--user-password-file", options_.user_password_file,
                   "File with that administrator's password; else it is asked for");
    app.add_option("--ca", options_.ca, "PEM file of authorities for an https API");
    app.add_flag("--json", options_.json, "Print JSON");
    app.add_flag("--yes", options_.yes, "Do not ask before something is destroyed");
    app.add_flag("--password-stdin", options_.password_stdin,
                 "Read the password from standard input");
}

CLI::App* Commands::group(const std::string& name, const std::string& text) {
    CLI::App* made = app_.add_subcommand(name, text);
    made->require_subcommand(1);
    return made;
}

CLI::App* Commands::verb(CLI::App* parent, const std::string& name, const std::string& text,
                         Run run) {
    CLI::App* made = parent->add_subcommand(name, text);
    made->callback([this, run = std::move(run)] { chosen_ = run; });
    return made;
}

std::string Commands::api_address() const {
    if (!options_.api.empty()) return options_.api;
    if (const char* named = std::getenv("MUSTER_API"); named != nullptr && *named != '\0') {
        return named;
    }
    if (exists(options_.config)) {
        const auto config = read_node_file(options_.config);
        if (config) return config->admin.socket;
    }
    return kUsualSocket;
}

Result<ApiClient*> Commands::api() {
    if (api_) return api_.get();
    ApiAddress address{api_address(), options_.user, "", "", options_.node};
    if (!options_.user_password_file.empty()) {
        auto text = read_file(options_.user_password_file, 4096);
        if (!text) return std::unexpected(text.error());
        address.password = text->substr(0, text->find_first_of("\r\n"));
    } else if (!options_.user.empty()) {
        auto password = ask_password("Password of administrator " + options_.user);
        if (!password) return std::unexpected(password.error());
        address.password = *password;
    }
    if (!options_.ca.empty()) {
        auto authorities = read_file(options_.ca);
        if (!authorities) return std::unexpected(authorities.error());
        address.authorities = *authorities;
    }
    api_ = std::make_unique<ApiClient>(address);
    return api_.get();
}

void Commands::print_json(const json& value) const {
    say(value.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

Result<> Commands::show(const std::string& path, const std::function<void(const json&)>& print) {
    const auto client = api();
    if (!client) return std::unexpected(client.error());
    const auto answer = (*client)->get(path);
    if (!answer) return std::unexpected(answer.error());
    if (options_.json) {
        print_json(*answer);
    } else {
        print(*answer);
    }
    return {};
}

Result<> Commands::show_table(const std::string& path, const std::string& list,
                              std::vector<Column> columns) {
    return show(path, [&](const json& answer) {
        say(format_table(answer.value(list, json::array()), columns));
    });
}

Result<> Commands::change(const std::string& method, const std::string& path, const json& body,
                          const std::string& done) {
    const auto client = api();
    if (!client) return std::unexpected(client.error());
    const auto answer = (*client)->call(method, path, body);
    if (!answer) return std::unexpected(answer.error());
    if (options_.json) {
        print_json(*answer);
    } else if (!done.empty()) {
        say(done + "\n");
    }
    return all_ended(answer->is_object() ? answer->value("sessions", json()) : json());
}

Result<> Commands::confirm(const std::string& question) const {
    if (options_.yes) return {};
    return admin::confirm(question);
}

Result<std::string> Commands::new_password(const std::string& question) const {
    return options_.password_stdin ? password_from_stdin() : ask_new_password(question);
}

int run_cli(int argc, char** argv) {
    CLI::App app("Muster makes many mail servers one.", "muster");
    Commands commands(app);
    add_object_commands(commands);
    add_secret_commands(commands);
    add_node_commands(commands);
    add_account_commands(commands);
    add_session_commands(commands);
    add_queue_commands(commands);
    add_cluster_commands(commands);
    try {
        app.parse(with_common_options_first(argc, argv));
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kWrongUsage;
    }
    const auto done = commands.chosen()();
    if (done) return 0;
    return complain(done.error(),
                    done.error().kind == ErrorKind::Syntax && done.error().public_text == "usage");
}

}  // namespace muster::admin
