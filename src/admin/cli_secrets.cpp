// Verbs of secrets that all front ends have in common, and of the keys that sign mail.
#include "admin/commands.h"
#include "admin/files.h"
#include "net/http_message.h"

namespace muster::admin {
namespace {

using nlohmann::json;

std::string dkim_path(const std::string& domain, const std::string& selector) {
    return "/v1/dkim/" + net::percent_encoded(domain) + '/' + net::percent_encoded(selector);
}

void add_rotating_verb(Commands& commands, CLI::App* group) {
    struct Arguments {
        std::string name;
        bool all = false;
    };
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* rotate = commands.verb(
        group, "rotate", "Make its next key the current one", [&commands, arguments]() -> Result<> {
            if (arguments->all) {
                auto sure = commands.confirm("Replace all keys of " + arguments->name +
                                             "? What was made with them is worth nothing then.");
                if (!sure) return sure;
            }
            return commands.change(
                "POST", "/v1/secrets/" + net::percent_encoded(arguments->name) + "/rotate",
                {{"all", arguments->all}},
                "secret " + arguments->name + (arguments->all ? " replaced" : " rotated"));
        });
    rotate->add_option("name", arguments->name, "tickets or srs")->required();
    rotate->add_flag("--all", arguments->all, "Replace all its keys at once: they have leaked");
}

Result<> add_dkim_key(Commands& commands, const std::string& domain, const std::string& selector,
                      const std::string& file, const std::string& algorithm) {
    json body = json::object();
    if (!file.empty()) {
        auto key = read_file(file);
        if (!key) return std::unexpected(key.error());
        body["key"] = std::move(*key);
    }
    if (!algorithm.empty()) body["algorithm"] = algorithm;
    const auto api = commands.api();
    if (!api) return std::unexpected(api.error());
    const auto answer = (*api)->call("PUT", dkim_path(domain, selector), body);
    if (!answer) return std::unexpected(answer.error());
    if (commands.options().json) {
        commands.print_json(*answer);
    } else {
        say(answer->value("dns", "") + "\n");
    }
    return {};
}

void add_dkim_commands(Commands& commands) {
    CLI::App* group = commands.group("dkim", "Keys that sign mail, written out on all front ends");
    commands.verb(group, "list", "List all, with their DNS records", [&commands] {
        return commands.show_table(
            "/v1/dkim", "dkim",
            {{"DOMAIN", "domain"}, {"SELECTOR", "selector"}, {"RECORD", "record"}});
    });
    struct Arguments {
        std::string domain;
        std::string selector;
        std::string file;
        std::string algorithm;
    };
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* add = commands.verb(
        group, "add", "Make a key, or take one, and print its DNS record", [&commands, arguments] {
            return add_dkim_key(commands, arguments->domain, arguments->selector, arguments->file,
                                arguments->algorithm);
        });
    add->add_option("--key-file", arguments->file,
                    "PEM file of a private key that is there already");
    add->add_option("--algorithm", arguments->algorithm, "rsa (2048 bits) or ed25519");
    CLI::App* remove = commands.verb(
        group, "remove", "Remove one, on all front ends", [&commands, arguments]() -> Result<> {
            const std::string name = arguments->domain + "/" + arguments->selector;
            auto sure = commands.confirm("Remove DKIM key " + name + "?");
            if (!sure) return sure;
            return commands.change("DELETE", dkim_path(arguments->domain, arguments->selector),
                                   nullptr, "DKIM key " + name + " removed");
        });
    for (CLI::App* verb : {add, remove}) {
        verb->add_option("domain", arguments->domain, "Domain")->required();
        verb->add_option("selector", arguments->selector, "Selector")->required();
    }
}

}  // namespace

void add_secret_commands(Commands& commands) {
    CLI::App* group = commands.group("secret", "Secrets that all front ends have in common");
    commands.verb(group, "list", "List them, without their keys", [&commands] {
        return commands.show_table("/v1/secrets", "secrets",
                                   {{"NAME", "name"},
                                    {"CURRENT", "current"},
                                    {"PREVIOUS", "previous"},
                                    {"NEXT", "next"},
                                    {"ROTATED", "rotated_at"},
                                    {"HOURS", "age_hours"}});
    });
    add_rotating_verb(commands, group);
    add_dkim_commands(commands);
}

}  // namespace muster::admin
