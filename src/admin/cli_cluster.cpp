// Verbs of the cluster as a whole: init, join, export, diff, apply, backup, restore; tokens; audit.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "admin/backup.h"
#include "admin/commands.h"
#include "admin/files.h"
#include "admin/join.h"
#include "admin/node_file.h"
#include "admin/open_cluster.h"
#include "admin/password_file.h"
#include "admin/progress.h"
#include "admin/prompt.h"
#include "admin/system_user.h"
#include "base/endpoint.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kLargestDeclaration = std::size_t{1} << 30;

struct InitArguments {
    std::string administrator;
};

Result<> init(Commands& commands, const InitArguments& arguments) {
    const auto config = read_node_file(commands.options().config);
    if (!config) return std::unexpected(config.error());
    if (auto user = user_to_become(config->node); !user) return std::unexpected(user.error());
    std::string password;
    if (!arguments.administrator.empty()) {
        auto given = commands.new_password("Password of administrator " + arguments.administrator);
        if (!given) return std::unexpected(given.error());
        password = *given;
    }
    const auto acting = ActsAsUser::begin(config->node);
    if (!acting) return std::unexpected(acting.error());
    if (auto made = init_cluster(*config, arguments.administrator, password); !made) return made;
    say("A new cluster begins on " + config->node.name.text + ". Start it: muster serve --config " +
        commands.options().config +
        "\nOther nodes join with: muster cluster join --config FILE "
        "--master " +
        (config->cluster.advertise.empty() ? "HOST:PORT" : config->cluster.advertise) + "\n");
    return {};
}

struct JoinArguments {
    std::string master;
    std::string pin;
    std::string follow;
    std::string password_file;
    bool token_stdin = false;
};

/// Whoever answers is asked for its key first: a token must not go to a stranger. A password goes
/// to nobody.
Result<std::string> agreed_pin(const Commands& commands, const std::string& master) {
    auto shown = peer_pin_at(master);
    if (!shown) return shown;
    auto sure = commands.confirm("The master at " + master + " shows the key " + *shown +
                                 " (muster node show on the master tells its pin). Is it right?");
    if (!sure) return std::unexpected(sure.error());
    return shown;
}

Result<std::string> join_secret(const Commands& commands, const JoinArguments& arguments,
                                const std::string& user) {
    if (commands.options().password_stdin || arguments.token_stdin) return password_from_stdin();
    if (!arguments.password_file.empty()) return read_password_file(arguments.password_file);
    return ask_password(user.empty() ? "Token" : "Password of " + user);
}

/// The section of the node file that --follow names; null: the own cluster.
Result<const FollowSettings*> followed(const NodeConfig& config, const std::string& name) {
    if (name.empty()) return nullptr;
    for (const FollowSettings& follow : config.follows) {
        if (follow.name == name) return &follow;
    }
    return fail(ErrorKind::NotFound, "there is no [[follow]] " + name + " in the node file");
}

Result<> join(Commands& commands, JoinArguments arguments) {
    const auto config = read_node_file(commands.options().config);
    if (!config) return std::unexpected(config.error());
    if (auto user = user_to_become(config->node); !user) return std::unexpected(user.error());
    const auto follow = followed(*config, arguments.follow);
    if (!follow) return std::unexpected(follow.error());
    JoinWish wish = *follow == nullptr ? member_wish(*config) : follower_wish(*config, **follow);
    if (!arguments.master.empty()) wish.master = arguments.master;
    if (wish.master.empty()) {
        return std::unexpected(Error{ErrorKind::Syntax, "usage", "--master HOST:PORT is needed"});
    }
    if (!commands.options().user.empty()) wish.user = commands.options().user;
    if (arguments.token_stdin) wish.user.clear();
    if (arguments.password_file.empty() && !wish.user.empty()) {
        arguments.password_file =
            *follow == nullptr ? config->cluster.password_file : (*follow)->password_file;
    }
    wish.master_pin = arguments.pin;
    if (wish.user.empty() && wish.master_pin.empty()) {
        auto pin = agreed_pin(commands, wish.master);
        if (!pin) return std::unexpected(pin.error());
        wish.master_pin = *pin;
    }
    auto secret = join_secret(commands, arguments, wish.user);
    if (!secret) return std::unexpected(secret.error());
    (wish.user.empty() ? wish.token : wish.password) = *secret;
    auto acting = ActsAsUser::begin(config->node);
    if (!acting) return std::unexpected(acting.error());
    auto joined =
        *follow == nullptr ? join_cluster(*config, wish) : join_network(*config, **follow, wish);
    acting->reset();
    if (!joined) return joined;
    const bool from_file = !commands.options().password_stdin && !arguments.token_stdin;
    if (from_file && !arguments.password_file.empty()) {
        remove_password_file(arguments.password_file);
    }
    if (*follow != nullptr) {
        say(config->node.name.text + " is a " + wish.scope + " of the network " + (*follow)->name +
            "; if it runs, it follows now\n");
        return {};
    }
    say(config->node.name.text + " is a node of the cluster. Start it: muster serve --config " +
        commands.options().config + "\n");
    return {};
}

struct OpenArguments {
    std::string listen;
    std::string advertise;
    std::vector<std::string> from;
};

/// What stands at the other side, and what is missing here.
std::string for_followers(const NodeConfig& config) {
    const std::string& at = config.cluster.advertise;
    const auto endpoint = Endpoint::parse(at);
    const std::string port = at.substr(at.rfind(':') + 1);
    const std::string host =
        endpoint && endpoint->address.is_unspecified() ? "HOST" : at.substr(0, at.rfind(':'));
    return "Followers of this network have in their node file:\n\n    [[follow]]\n    name = \"" +
           config.node.name.text + "\"\n    host = \"" + host + "\"\n    port = " + port +
           "\n    user = \"ADMINISTRATOR\"        # muster administrator set ADMINISTRATOR, here\n"
           "    password_file = \"/etc/muster/" +
           config.node.name.text +
           ".password\"\n    mode = \"relay\"                # or \"mirror\"\n\n"
           "Members of this cluster join with: muster cluster join --master " +
           host + ":" + port + " --user ADMINISTRATOR\n";
}

/// Networks are added to those that may come already; where it listens stays unless it is told.
ClusterOpening opening_of(const ClusterSettings& config, const OpenArguments& arguments) {
    ClusterOpening opening{arguments.listen, arguments.advertise};
    if (opening.listen.empty()) opening.listen = config.listen;
    if (opening.listen.empty()) opening.listen = "0.0.0.0:7700";
    if (!arguments.from.empty()) opening.allow = config.allow;
    for (const std::string& network : arguments.from) {
        const bool may_come = std::ranges::find(opening.allow, network) != opening.allow.end();
        if (!may_come) opening.allow.push_back(network);
    }
    return opening;
}

/// The node file is the operator's: it is changed only where it must, proven before it is
/// written, and the one before is kept.
Result<> open_cluster(Commands& commands, const OpenArguments& arguments) {
    const std::string& path = commands.options().config;
    const auto before = read_file(path);
    if (!before) return std::unexpected(before.error());
    const auto config = read_node_file(path);
    if (!config) return std::unexpected(config.error());
    if (!config->node.roles.master) {
        return fail(ErrorKind::Refused, "a cluster is opened on a node with the role master");
    }
    const ClusterOpening opening = opening_of(config->cluster, arguments);
    if (auto endpoint = Endpoint::parse(opening.listen); !endpoint) {
        return std::unexpected(endpoint.error());
    }
    const std::string after = with_cluster_open(*before, opening);
    const auto opened = parse_node_file(after, path);
    if (!opened) return std::unexpected(opened.error());
    const auto wrong = std::ranges::find_if(opened->cluster.allow, [](const std::string& text) {
        return !Network::parse(text).has_value();
    });
    if (wrong != opened->cluster.allow.end()) {
        return fail(ErrorKind::Syntax, "--from " + *wrong + " is no network");
    }
    if (after == *before) {
        say(path + " says so already\n\n" + for_followers(*opened));
        return {};
    }
    struct stat status{};
    ::stat(path.c_str(), &status);
    const unsigned mode = status.st_mode & 07777;
    if (auto kept = write_file(path + ".before", *before, mode); !kept) return kept;
    if (auto kept = write_file(path, after, mode); !kept) return kept;
    if (::chown(path.c_str(), status.st_uid, status.st_gid) != 0) {
        return fail(ErrorKind::Io, path + " belongs to somebody else now: " + std::strerror(errno));
    }
    say(path + " is changed (" + path + ".before is the one before). Start the node anew: the " +
        "port is open then, to " + std::to_string(opened->cluster.allow.size()) +
        " network(s).\n\n" + for_followers(*opened));
    return {};
}

struct FileArguments {
    std::string file;
    bool keys = false;
};

/// A file that is there whole or not at all.
class Download {
public:
    explicit Download(const std::string& path) : path_(path), beside_(path + ".part") {
        if (exists(path)) return;
        file_ = std::fopen(beside_.c_str(), "wxe");
    }
    ~Download() {
        if (file_ == nullptr) return;
        std::fclose(file_);
        std::remove(beside_.c_str());
    }
    Download(const Download&) = delete;
    Download& operator=(const Download&) = delete;
    [[nodiscard]] Result<> opened() const {
        if (file_ != nullptr) return {};
        return fail(ErrorKind::Io, path_ + " exists already or cannot be made");
    }
    bool write(std::string_view bytes) {
        return std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size();
    }
    Result<> keep() {
        const bool synced = std::fflush(file_) == 0 && ::fsync(::fileno(file_)) == 0;
        std::fclose(std::exchange(file_, nullptr));
        if (!synced || std::rename(beside_.c_str(), path_.c_str()) != 0) {
            return fail(ErrorKind::Io, path_ + " could not be written");
        }
        return {};
    }

private:
    std::string path_;
    std::string beside_;
    std::FILE* file_ = nullptr;
};

Result<> download_to_file(Commands& commands, const std::string& path, const json& body,
                          const std::string& file) {
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto mask = ::umask(077);
    Download target(file);
    ::umask(mask);
    if (auto opened = target.opened(); !opened) return opened;
    Progress progress;
    std::uint64_t bytes = 0;
    auto got = (*client)->download(path, body, [&](std::string_view piece) {
        bytes += piece.size();
        progress.tell("received " + with_commas(bytes) + " bytes");
        return target.write(piece);
    });
    if (!got) return got;
    return target.keep();
}

Result<> export_cluster(Commands& commands, const FileArguments& arguments) {
    const std::string path = std::string("/v1/cluster/export?keys=") + (arguments.keys ? "1" : "0");
    if (!arguments.file.empty()) return download_to_file(commands, path, nullptr, arguments.file);
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    bool written = true;
    auto got = (*client)->download(path, nullptr, [&written](std::string_view piece) {
        return written = std::fwrite(piece.data(), 1, piece.size(), stdout) == piece.size();
    });
    if (!got) return got;
    written = std::fflush(stdout) == 0 && written;
    if (!written) return fail(ErrorKind::Io, std::string("writing: ") + std::strerror(errno));
    return {};
}

Result<json> declaration_in(const std::string& file) {
    const auto text = read_file(file, kLargestDeclaration);
    if (!text) return std::unexpected(text.error());
    json parsed = state::parse_json(*text);
    if (parsed.is_discarded()) return fail(ErrorKind::Syntax, file + " is not JSON");
    return parsed;
}

void print_step(const json& step) {
    const std::string op = step.value("op", "");
    const std::string key = printable(step.value("key", ""));
    if (op == "create") return say("+ " + key + " " + state::json_line(step["after"]) + "\n");
    if (op == "delete") return say("- " + key + "\n");
    say("~ " + key + "\n");
    for (const json& change : json::diff(step["before"], step["after"])) {
        const std::string path = change.value("path", "");
        const json::json_pointer at(path);
        const bool had = step["before"].contains(at);
        say("    " + path + ": " + (had ? state::json_line(step["before"][at]) : "-") + " -> " +
            (change.contains("value") ? state::json_line(change["value"]) : "-") + "\n");
    }
}

void print_plan(const json& plan) {
    for (const json& step : plan["steps"]) print_step(step);
    for (const json& problem : plan["problems"]) {
        std::fprintf(stderr, "muster: %s\n", printable(problem.get<std::string>()).c_str());
    }
}

Result<> diff(Commands& commands, const FileArguments& arguments) {
    const auto declaration = declaration_in(arguments.file);
    if (!declaration) return std::unexpected(declaration.error());
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto plan = (*client)->call("POST", "/v1/cluster/diff", *declaration);
    if (!plan) return std::unexpected(plan.error());
    if (commands.options().json) {
        commands.print_json(*plan);
    } else {
        print_plan(*plan);
    }
    return {};
}

Result<> apply(Commands& commands, const FileArguments& arguments) {
    const auto declaration = declaration_in(arguments.file);
    if (!declaration) return std::unexpected(declaration.error());
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto plan = (*client)->call("POST", "/v1/cluster/diff", *declaration);
    if (!plan) return std::unexpected(plan.error());
    const std::size_t steps = (*plan)["steps"].size();
    if (!commands.options().json) print_plan(*plan);
    if (!(*plan)["problems"].empty()) {
        return fail(ErrorKind::Refused, "nothing was done: see the problems above");
    }
    if (steps == 0) {
        if (commands.options().json) {
            commands.print_json({{"applied", 0}});
        } else {
            say("nothing to do\n");
        }
        return {};
    }
    auto sure = commands.confirm("Carry out " + with_commas(steps) + " steps?");
    if (!sure) return sure;
    return commands.change("POST",
                           "/v1/cluster/apply?revision=" + state::json_line((*plan)["revision"]),
                           *declaration, with_commas(steps) + " steps done");
}

Result<std::string> passphrase(const Commands& commands, bool fresh) {
    if (commands.options().password_stdin) return password_from_stdin();
    return fresh ? ask_new_password("Passphrase of the backup")
                 : ask_password("Passphrase of the backup");
}

Result<> backup(Commands& commands, const FileArguments& arguments) {
    const auto secret = passphrase(commands, true);
    if (!secret) return std::unexpected(secret.error());
    auto got =
        download_to_file(commands, "/v1/cluster/backup", {{"passphrase", *secret}}, arguments.file);
    if (!got) return got;
    say("backup written to " + arguments.file + "; without its passphrase it cannot be opened\n");
    return {};
}

Result<> restore(Commands& commands, const FileArguments& arguments) {
    const auto config = read_node_file(commands.options().config);
    if (!config) return std::unexpected(config.error());
    if (!config->node.roles.master) {
        return fail(ErrorKind::Refused, "a backup is brought back on a node with the role master");
    }
    const auto secret = passphrase(commands, false);
    if (!secret) return std::unexpected(secret.error());
    auto restored = restore_backup(*config, arguments.file, *secret, commands.options().yes);
    if (!restored) return restored;
    if (auto given = ActsAsUser::begin(config->node); !given) {
        return std::unexpected(given.error());
    }
    say("restored to " + config->node.state_dir + "; start it: muster serve --config " +
        commands.options().config + "\n");
    return {};
}

void file_verb(Commands& commands, CLI::App* group, const std::string& name,
               const std::string& text, Result<> (*run)(Commands&, const FileArguments&)) {
    const auto arguments = std::make_shared<FileArguments>();
    commands
        .verb(group, name, text, [&commands, arguments, run] { return run(commands, *arguments); })
        ->add_option("file", arguments->file, "File")
        ->required();
}

/// The token on standard output, what to do with it on standard error.
void print_token(const json& made, const std::string& scope) {
    say(made.value("token", "") + "\n");
    std::string master = made.value("master", "");
    const auto endpoint = Endpoint::parse(master);
    if (master.empty()) {
        master = "HOST:PORT";
        std::fputs(
            "This master does not listen for other nodes: set [cluster] listen in its node file "
            "(and advertise, if others reach it by another address), then start it again.\n",
            stderr);
    } else if (endpoint && endpoint->address.is_unspecified()) {
        master = "HOST:" + std::to_string(endpoint->port);
        std::fputs(
            "HOST is an address of this master that the new node reaches; to have it filled in, "
            "set [cluster] advertise in the master's node file.\n",
            stderr);
    }
    const bool follows = scope == "relay" || scope == "mirror";
    if (follows)
        std::fprintf(stderr, "NAME is that of a [[follow]] section, mode %s.\n", scope.c_str());
    std::fprintf(stderr,
                 "On the new node: muster cluster join --config FILE%s --master %s --pin %s\n",
                 follows ? " --follow NAME" : "", master.c_str(), made.value("pin", "").c_str());
}

void add_token_commands(Commands& commands) {
    CLI::App* group = commands.group("token", "One-time tokens with which nodes join");
    struct Arguments {
        std::string name;
        std::string scope = "frontend";
        std::size_t hours = 24;
        std::string id;
    };
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* add = commands.verb(group, "add", "Make one", [&commands, arguments]() -> Result<> {
        const auto client = commands.api();
        if (!client) return std::unexpected(client.error());
        const auto made = (*client)->call(
            "POST", "/v1/tokens",
            {{"name", arguments->name}, {"scope", arguments->scope}, {"hours", arguments->hours}});
        if (!made) return std::unexpected(made.error());
        if (commands.options().json) {
            commands.print_json(*made);
        } else {
            print_token(*made, arguments->scope);
        }
        return {};
    });
    add->add_option("--name", arguments->name, "Only for the node of this name");
    add->add_option("--scope", arguments->scope, "frontend, backend, master, relay or mirror")
        ->capture_default_str();
    add->add_option("--hours", arguments->hours, "How long it is good")->capture_default_str();
    commands.verb(group, "list", "List those not yet used", [&commands] {
        return commands.show_table("/v1/tokens", "tokens",
                                   {{"ID", "id"}, {"SCOPE", "scope"}, {"NAME", "name"}});
    });
    commands
        .verb(group, "remove", "Make one useless",
              [&commands, arguments] {
                  return commands.change("DELETE", path_of("/v1/tokens/", arguments->id), nullptr,
                                         "token removed");
              })
        ->add_option("id", arguments->id, "Its id, as listed")
        ->required();
}

void add_audit_commands(Commands& commands) {
    CLI::App* group = commands.group("audit", "Who changed what");
    const auto limit = std::make_shared<std::size_t>(50);
    commands
        .verb(group, "list", "The newest changes",
              [&commands, limit] {
                  return commands.show_table("/v1/audit?limit=" + std::to_string(*limit), "audit",
                                             {{"TIME", "time"},
                                              {"WHO", "who"},
                                              {"ACTION", "action"},
                                              {"OBJECT", "object"},
                                              {"OUTCOME", "outcome"}});
              })
        ->add_option("--limit", *limit, "How many")
        ->capture_default_str();
}

}  // namespace

void add_cluster_commands(Commands& commands) {
    CLI::App* group = commands.group("cluster", "The cluster as a whole");
    const auto first = std::make_shared<InitArguments>();
    commands
        .verb(group, "init", "Begin a new cluster on this master",
              [&commands, first] { return init(commands, *first); })
        ->add_option("--administrator", first->administrator, "First administrator to make");
    const auto opening = std::make_shared<OpenArguments>();
    CLI::App* open_verb = commands.verb(
        group, "open", "Let other nodes join this master and follow it (changes the node file)",
        [&commands, opening] { return open_cluster(commands, *opening); });
    open_verb->add_option("--listen", opening->listen,
                          "ADDRESS:PORT of the cluster port (as it is, else 0.0.0.0:7700)");
    open_verb->add_option("--advertise", opening->advertise, "HOST:PORT by which nodes reach it");
    open_verb
        ->add_option("--from", opening->from,
                     "Networks of the nodes, with commas, besides those that may come already")
        ->delimiter(',');
    const auto joining = std::make_shared<JoinArguments>();
    CLI::App* join_verb =
        commands.verb(group, "join",
                      "Make this node a member of its cluster, or a follower of another network "
                      "(token, or --user NAME and password)",
                      [&commands, joining] { return join(commands, *joining); });
    join_verb->add_option("--master", joining->master, "HOST:PORT of a master's cluster port");
    join_verb->add_option("--pin", joining->pin,
                          "Key of that master (sha256//…); with a password it need not be known");
    join_verb->add_option("--follow", joining->follow,
                          "The network of that [[follow]] section instead of the own cluster");
    join_verb->add_option("--password-file", joining->password_file,
                          "File with the password, removed after the join");
    join_verb->add_flag("--token-stdin", joining->token_stdin,
                        "Read the token from standard input");
    const auto exported = std::make_shared<FileArguments>();
    CLI::App* export_verb =
        commands.verb(group, "export", "The whole state as one declarative file",
                      [&commands, exported] { return export_cluster(commands, *exported); });
    export_verb->add_option("file", exported->file, "New file; else standard output");
    export_verb->add_flag("--keys", exported->keys, "With passwords, credentials, certificates");
    file_verb(commands, group, "diff", "What apply would change", diff);
    file_verb(commands, group, "apply", "Make the state as the file says", apply);
    file_verb(commands, group, "backup", "Everything, sealed with a passphrase", backup);
    file_verb(commands, group, "restore", "Bring a backup back (the master must not run)", restore);
    add_leadership_commands(commands, group);
    add_token_commands(commands);
    add_audit_commands(commands);
}

}  // namespace muster::admin
