// Verbs with which nodes come together: cluster init, open, join; tokens.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "admin/commands.h"
#include "admin/files.h"
#include "admin/join.h"
#include "admin/node_file.h"
#include "admin/open_cluster.h"
#include "admin/password_file.h"
#include "admin/prompt.h"
#include "admin/system_user.h"
#include "base/endpoint.h"

namespace muster::admin {
namespace {

using nlohmann::json;

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
    if (follows) {
        std::fprintf(stderr, "NAME is that of a [[follow]] section, mode %s.\n", scope.c_str());
    }
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

}  // namespace

void add_join_commands(Commands& commands, CLI::App* group) {
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
    add_token_commands(commands);
}

}  // namespace muster::admin
