// Verbs of domains, servers, nodes, aliases, settings, certificates, credentials, administrators.

#include <algorithm>
#include <array>

#include "admin/commands.h"
#include "admin/field_values.h"
#include "admin/files.h"
#include "admin/password_file.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

/// A kind of object that is put together from fields.
struct ObjectVerbs {
    const char* noun;
    std::string path;
    std::string list;
    std::span<const Field> fields;
    std::vector<Column> columns;
    const char* text;
    bool may_add;
};

std::vector<ObjectVerbs> object_verbs() {
    return {
        {"domain",
         "/v1/domains/",
         "domains",
         domain_fields(),
         {{"NAME", "name"}, {"KIND", "kind"}, {"SERVERS", "servers"}, {"NODE", "node"}},
         "Mail domains",
         true},
        {"server",
         "/v1/servers/",
         "servers",
         server_fields(),
         {{"NAME", "name"},
          {"KIND", "kind"},
          {"HOST", "host"},
          {"ADMIN", "admin"},
          {"IMAP", "observed.imap"},
          {"POP3", "observed.pop3"},
          {"SIEVE", "observed.sieve"},
          {"NODE", "node"}},
         "Servers that hold mailboxes",
         true},
        {"node",
         "/v1/nodes/",
         "nodes",
         node_fields(),
         {{"NAME", "name"},
          {"SCOPE", "scope"},
          {"MASTER", "master"},
          {"ELIGIBLE", "eligible"},
          {"CLUSTER", "cluster"},
          {"ADMIN", "admin"},
          {"REVOKED", "revoked"},
          {"SEEN", "seen.when"},
          {"FROM", "seen.address"},
          {"VERSION", "seen.version"}},
         "Nodes of the cluster",
         false},
    };
}

std::unexpected<Error> wrong_usage(const Error& error) {
    return std::unexpected(Error{ErrorKind::Syntax, "usage", error.detail});
}

struct ObjectArguments {
    std::string name;
    bool here = false;                 ///< for the node that is asked alone
    std::vector<std::string> inherit;  ///< fields that are to be as the directory says
    CLI::App* app = nullptr;
};

/// `domain set --here`: what the node that is asked does otherwise.
Result<> change_here(Commands& commands, const ObjectVerbs& verbs,
                     const ObjectArguments& arguments) {
    const std::string path = path_of("/v1/exceptions/domains/", arguments.name);
    const auto words = arguments.app->remaining();
    if (words.empty() && arguments.inherit == std::vector<std::string>{"all"}) {
        return commands.change("DELETE", path, nullptr,
                               "domain " + arguments.name + " has no exceptions here");
    }
    json change{{"inherit", arguments.inherit}};
    if (!words.empty() || arguments.inherit.empty()) {
        const auto object = object_from(verbs.fields, words);
        if (!object) return wrong_usage(object.error());
        change["set"] = *object;
    }
    return commands.change("PATCH", path, change, "domain " + arguments.name + " changed here");
}

/// `add` and `set`: fields stand in what CLI11 has left over.
void add_writing_verb(Commands& commands, CLI::App* group, const ObjectVerbs& verbs, bool create) {
    const auto arguments = std::make_shared<ObjectArguments>();
    arguments->app = commands.verb(
        group, create ? "add" : "set", create ? "Add one; fields as below" : "Change fields of one",
        [&commands, arguments, create, verbs]() -> Result<> {
            if (arguments->here) return change_here(commands, verbs, *arguments);
            const auto object = object_from(verbs.fields, arguments->app->remaining());
            if (!object) return wrong_usage(object.error());
            return commands.change(
                create ? "PUT" : "PATCH",
                path_of(verbs.path, arguments->name, create ? "?create=1" : ""), *object,
                std::string(verbs.noun) + " " + arguments->name + (create ? " added" : " changed"));
        });
    if (!create && std::string(verbs.noun) == "domain") {
        CLI::Option* here = arguments->app->add_flag(
            "--here", arguments->here, "For this node alone, whatever the cluster's state says");
        arguments->app
            ->add_option("--inherit", arguments->inherit,
                         "With --here: a field that is to be as the state says again; all: all")
            ->needs(here)
            ->delimiter(',');
    }
    arguments->app->allow_extras();
    arguments->app->footer(describe(verbs.fields));
    arguments->app->add_option("name", arguments->name, "Name")->required();
}

void add_named_verb(Commands& commands, CLI::App* group, const std::string& verb,
                    const std::string& text, std::function<Result<>(const std::string&)> run) {
    const auto name = std::make_shared<std::string>();
    commands.verb(group, verb, text, [name, run = std::move(run)] { return run(*name); })
        ->add_option("name", *name, "Name")
        ->required();
}

void add_remove_verb(Commands& commands, CLI::App* group, const std::string& noun,
                     const std::string& path) {
    add_named_verb(commands, group, "remove", "Remove one",
                   [&commands, noun, path](const std::string& name) -> Result<> {
                       auto sure = commands.confirm("Remove " + noun + " " + name + "?");
                       if (!sure) return sure;
                       return commands.change("DELETE", path_of(path, name), nullptr,
                                              noun + " " + name + " removed");
                   });
}

void add_reading_verbs(Commands& commands, CLI::App* group, const std::string& path,
                       const std::string& list, const std::vector<Column>& columns) {
    const std::string all = path.substr(0, path.size() - 1);
    commands.verb(group, "list", "List all", [&commands, all, list, columns] {
        return commands.show_table(all, list, columns);
    });
    add_named_verb(commands, group, "show", "Show one with all its fields",
                   [&commands, path](const std::string& name) {
                       return commands.show(path_of(path, name),
                                            [](const json& object) { say(format_object(object)); });
                   });
}

/// Columns that only some nodes have something for stand there only then.
void print_domains(const json& domains, std::vector<Column> columns) {
    for (const Column& column :
         {Column{"NETWORK", "network"}, Column{"ALSO IN", "also_in"}, Column{"HERE", "here"}}) {
        const bool is_used = std::ranges::any_of(domains, [&column](const json& domain) {
            return domain.contains(std::string(column.field));
        });
        if (is_used) columns.push_back(column);
    }
    say(format_table(domains, columns));
}

/// "tls: verified" and, of what is this node's own, "(here; inherited: automatic)".
void print_domain(json domain) {
    const json inherited = domain.value("inherited", json::object());
    for (const auto& [field, value] : inherited.items()) {
        domain[field] = format_value(domain.value(field, json())) +
                        " (here; inherited: " + format_value(value) + ")";
    }
    domain.erase("inherited");
    domain.erase("here");
    say(format_object(domain));
}

void add_domain_reading_verbs(Commands& commands, CLI::App* group, const ObjectVerbs& verbs) {
    commands.verb(group, "list", "List all", [&commands, columns = verbs.columns] {
        return commands.show("/v1/domains", [&columns](const json& answer) {
            print_domains(answer.value("domains", json::array()), columns);
        });
    });
    add_named_verb(commands, group, "show", "Show one with all its fields",
                   [&commands](const std::string& name) {
                       return commands.show(path_of("/v1/domains/", name), print_domain);
                   });
}

void add_state_verbs(Commands& commands, CLI::App* group, const std::string& noun,
                     const std::string& path) {
    add_named_verb(commands, group, "drain", "Take no new sessions; those it has go on",
                   [&commands, noun, path](const std::string& name) {
                       return commands.change("POST", path_of(path, name, "/drain"), nullptr,
                                              noun + " " + name + " takes no new sessions");
                   });
    add_named_verb(commands, group, "resume", "Take sessions again",
                   [&commands, noun, path](const std::string& name) {
                       return commands.change("POST", path_of(path, name, "/resume"), nullptr,
                                              noun + " " + name + " takes sessions");
                   });
}

void print_proofs(const json& answer) {
    say("server " + answer.value("server", "") + ", seen from front end " +
        answer.value("from", "") + "\n");
    say(format_table(
        answer.value("proofs", json::array()),
        {{"SERVICE", "service"}, {"PROOF", "step"}, {"RESULT", "result"}, {"DETAIL", "detail"}}));
}

Result<> check_server(Commands& commands, const std::string& name) {
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto answer = (*client)->call("POST", path_of("/v1/servers/", name, "/check"));
    if (!answer) return std::unexpected(answer.error());
    if (commands.options().json) {
        commands.print_json(*answer);
    } else {
        print_proofs(*answer);
    }
    for (const json& proof : answer->value("proofs", json::array())) {
        if (proof.value("result", "") == "failed") {
            return fail(ErrorKind::Refused, "server " + name + " did not pass every proof");
        }
    }
    return {};
}

void add_alias_commands(Commands& commands) {
    CLI::App* alias = commands.group("alias", "Further addresses of accounts");
    add_reading_verbs(commands, alias, "/v1/aliases/", "aliases",
                      {{"ADDRESS", "name"}, {"TO", "to"}});
    struct Arguments {
        std::string address;
        std::vector<std::string> to;
    };
    for (const bool create : {true, false}) {
        const auto arguments = std::make_shared<Arguments>();
        CLI::App* verb = commands.verb(
            alias, create ? "add" : "set", create ? "Add one" : "Change where one leads",
            [&commands, arguments, create] {
                return commands.change(
                    "PUT", path_of("/v1/aliases/", arguments->address, create ? "?create=1" : ""),
                    {{"to", arguments->to}}, "alias " + arguments->address + " set");
            });
        verb->add_option("address", arguments->address, "Address")->required();
        verb->add_option("to", arguments->to, "Where it leads")->required();
    }
    add_remove_verb(commands, alias, "alias", "/v1/aliases/");
}

void add_setting_commands(Commands& commands) {
    CLI::App* setting = commands.group("setting", "Settings of the whole cluster");
    add_reading_verbs(commands, setting, "/v1/settings/", "settings",
                      {{"NAME", "name"}, {"VALUE", "value"}});
    struct Arguments {
        std::string name;
        std::string value;
    };
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* set = commands.verb(setting, "set", "Set one", [&commands, arguments] {
        json value = state::parse_json(arguments->value);
        if (value.is_discarded()) value = arguments->value;
        return commands.change("PUT", path_of("/v1/settings/", arguments->name), {{"value", value}},
                               "setting " + arguments->name + " set");
    });
    set->add_option("name", arguments->name, "Name")->required();
    set->add_option("value", arguments->value, "Text, number or JSON")->required();
    add_remove_verb(commands, setting, "setting", "/v1/settings/");
}

void add_administrator_commands(Commands& commands) {
    CLI::App* group = commands.group("administrator", "Who may use the API from afar");
    add_reading_verbs(commands, group, "/v1/administrators/", "administrators",
                      {{"NAME", "name"}, {"RIGHTS", "rights"}});
    struct Arguments {
        std::string name;
        bool read_only = false;
    };
    const auto arguments = std::make_shared<Arguments>();
    const auto add = [&commands, arguments](const std::string& suffix) -> Result<> {
        const auto password = commands.new_password("Password of " + arguments->name);
        if (!password) return std::unexpected(password.error());
        const char* rights = arguments->read_only ? "read" : "full";
        return commands.change("PUT", path_of("/v1/administrators/", arguments->name, suffix),
                               {{"password", *password}, {"rights", rights}},
                               "administrator " + arguments->name + " set");
    };
    for (const bool create : {true, false}) {
        CLI::App* verb = commands.verb(group, create ? "add" : "set",
                                       create ? "Add one" : "Set password and rights",
                                       [add, create] { return add(create ? "?create=1" : ""); });
        verb->add_option("name", arguments->name, "Name")->required();
        verb->add_flag("--read-only", arguments->read_only, "May look, not change");
    }
    add_remove_verb(commands, group, "administrator", "/v1/administrators/");
}

void add_credential_commands(Commands& commands) {
    CLI::App* group = commands.group("credential", "Master users of foreign servers");
    add_reading_verbs(commands, group, "/v1/credentials/", "credentials",
                      {{"SERVER", "name"}, {"USER", "user"}});
    struct Arguments {
        std::string server;
        std::string user;
    };
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* set =
        commands.verb(group, "set", "Set user and password", [&commands, arguments]() -> Result<> {
            const auto password = commands.new_password("Password of " + arguments->user);
            if (!password) return std::unexpected(password.error());
            return commands.change("PUT", path_of("/v1/credentials/", arguments->server),
                                   {{"user", arguments->user}, {"password", *password}},
                                   "credential of " + arguments->server + " set");
        });
    set->add_option("server", arguments->server, "Server")->required();
    set->add_option("login", arguments->user, "Name of its master user")->required();
    add_remove_verb(commands, group, "credential", "/v1/credentials/");
}

/// Logins at the hosts of remote domains' routes.
void add_delivery_credential_commands(Commands& commands, CLI::App* domain) {
    CLI::App* group = domain->add_subcommand("credential", "Logins for mail to remote domains");
    group->require_subcommand(1);
    const std::string path = "/v1/delivery/";
    add_reading_verbs(commands, group, path, "delivery", {{"DOMAIN", "name"}, {"USER", "user"}});
    struct Arguments {
        std::string domain;
        std::string user;
        std::string file;
    };
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* set = commands.verb(
        group, "set", "Set user and password", [&commands, arguments, path]() -> Result<> {
            const auto password = arguments->file.empty()
                                      ? commands.new_password("Password of " + arguments->user)
                                      : read_password_file(arguments->file);
            if (!password) return std::unexpected(password.error());
            return commands.change("PUT", path_of(path, arguments->domain),
                                   {{"user", arguments->user}, {"password", *password}},
                                   "credential for " + arguments->domain + " set");
        });
    set->add_option("domain", arguments->domain, "Remote domain with a route")->required();
    set->add_option("login", arguments->user, "Name to log in with at its hosts")->required();
    set->add_option("--password-file", arguments->file, "File with the password in its first line");
    add_remove_verb(commands, group, "credential for", path);
}

void add_certificate_commands(Commands& commands) {
    CLI::App* group = commands.group("certificate", "Certificates that all front ends show");
    add_reading_verbs(commands, group, "/v1/certificates/", "certificates",
                      {{"NAME", "name"}, {"NAMES", "names"}});
    struct Arguments {
        std::string name;
        std::string chain;
        std::string key;
        std::vector<std::string> names;
    };
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* set = commands.verb(
        group, "set", "Put one into the cluster's state, its key sealed",
        [&commands, arguments]() -> Result<> {
            const auto chain = read_file(arguments->chain);
            if (!chain) return std::unexpected(chain.error());
            const auto key = read_file(arguments->key);
            if (!key) return std::unexpected(key.error());
            return commands.change("PUT", path_of("/v1/certificates/", arguments->name),
                                   {{"chain", *chain}, {"key", *key}, {"names", arguments->names}},
                                   "certificate " + arguments->name + " set");
        });
    set->add_option("name", arguments->name, "Name of the entry")->required();
    set->add_option("--chain", arguments->chain, "PEM file: certificate and chain")->required();
    set->add_option("--key", arguments->key, "PEM file: private key")->required();
    set->add_option("--names", arguments->names, "Names it is shown for")->delimiter(',');
    add_remove_verb(commands, group, "certificate", "/v1/certificates/");
}

}  // namespace

void add_object_commands(Commands& commands) {
    for (const ObjectVerbs& verbs : object_verbs()) {
        CLI::App* group = commands.group(verbs.noun, verbs.text);
        if (std::string(verbs.noun) == "domain") {
            add_domain_reading_verbs(commands, group, verbs);
            add_delivery_credential_commands(commands, group);
        } else {
            add_reading_verbs(commands, group, verbs.path, verbs.list, verbs.columns);
        }
        if (verbs.may_add) add_writing_verb(commands, group, verbs, true);
        add_writing_verb(commands, group, verbs, false);
        add_remove_verb(commands, group, verbs.noun, verbs.path);
        if (std::string(verbs.noun) != "domain") {
            add_state_verbs(commands, group, verbs.noun, verbs.path);
        }
        if (std::string(verbs.noun) == "server") {
            add_named_verb(
                commands, group, "check", "Prove trust, TLS, client address and session id",
                [&commands](const std::string& name) { return check_server(commands, name); });
            add_named_verb(
                commands, group, "learn", "Take over the capabilities that it offers before login",
                [&commands](const std::string& name) { return learn_server(commands, name); });
        }
    }
    add_alias_commands(commands);
    add_setting_commands(commands);
    add_administrator_commands(commands);
    add_credential_commands(commands);
    add_certificate_commands(commands);
}

}  // namespace muster::admin
