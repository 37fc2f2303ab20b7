// Verbs of the cluster's state as a whole: export, diff, apply, backup, restore; audit.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "admin/backup.h"
#include "admin/commands.h"
#include "admin/files.h"
#include "admin/node_file.h"
#include "admin/progress.h"
#include "admin/prompt.h"
#include "admin/system_user.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kLargestDeclaration = std::size_t{1} << 30;

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
    add_join_commands(commands, group);
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
    add_audit_commands(commands);
}

}  // namespace muster::admin
