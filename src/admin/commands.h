#pragma once
// What all commands share. CLI11 stays in cli*.cpp.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "admin/api_client.h"
#include "admin/table_output.h"
#include "base/error.h"

namespace muster::admin {

/// Options that every command takes, wherever they stand in the line.
struct CommonOptions {
    std::string api;
    std::string config = "/etc/muster/muster.toml";
    std::string node;
    std::string user;
    std::string user_password_file;
    std::string ca;
    bool json = false;
    bool yes = false;
    bool password_stdin = false;
};

/// The tree of verbs and the one that was chosen. A command returns what went wrong, or nothing.
class Commands {
public:
    using Run = std::function<Result<>()>;

    explicit Commands(CLI::App& app);

    CLI::App* group(const std::string& name, const std::string& text);
    CLI::App* verb(CLI::App* group, const std::string& name, const std::string& text, Run run);
    [[nodiscard]] const CommonOptions& options() const { return options_; }
    [[nodiscard]] CLI::App& app() { return app_; }
    [[nodiscard]] const Run& chosen() const { return chosen_; }

    /// Connects on first use.
    Result<ApiClient*> api();
    /// Where the API is: --api, $MUSTER_API, the node file, the usual socket.
    [[nodiscard]] std::string api_address() const;

    /// Calls, and prints the answer as JSON or hands it to `print`.
    Result<> show(const std::string& path, const std::function<void(const nlohmann::json&)>& print);
    Result<> show_table(const std::string& path, const std::string& list,
                        std::vector<Column> columns);
    /// Unavailable, after what was done was said, when sessions are left that were to end.
    Result<> change(const std::string& method, const std::string& path, const nlohmann::json& body,
                    const std::string& done);
    /// Asks unless --yes.
    Result<> confirm(const std::string& question) const;
    /// From --password-stdin, else asked for twice.
    Result<std::string> new_password(const std::string& question) const;
    void print_json(const nlohmann::json& value) const;

private:
    CLI::App& app_;
    CommonOptions options_;
    Run chosen_;
    std::unique_ptr<ApiClient> api_;
};

void say(const std::string& text);

/// `server learn`: what a server offers becomes what front ends announce for it.
Result<> learn_server(Commands& commands, const std::string& name);
void add_object_commands(Commands& commands);
void add_account_commands(Commands& commands);
void add_session_commands(Commands& commands);
void add_queue_commands(Commands& commands);
void add_cluster_commands(Commands& commands);
void add_secret_commands(Commands& commands);
/// Verbs of `cluster` with which nodes come together, and tokens.
void add_join_commands(Commands& commands, CLI::App* group);
/// Verbs of `cluster` that say or change who leads.
void add_leadership_commands(Commands& commands, CLI::App* group);
void add_node_commands(Commands& commands);

}  // namespace muster::admin
