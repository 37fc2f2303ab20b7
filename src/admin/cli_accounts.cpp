// Verbs of accounts.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "admin/commands.h"
#include "admin/field_values.h"
#include "admin/progress.h"
#include "admin/prompt.h"
#include "admin/session_report.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kPage = 1'000;

const std::vector<Column>& columns() {
    static const std::vector<Column> kColumns{{"ADDRESS", "address"},
                                              {"HOME", "home"},
                                              {"STATE", "state"},
                                              {"QUOTA", "quota"},
                                              {"ID", "id"}};
    return kColumns;
}

/// A file to read or write, or standard input or output for "-".
class File {
public:
    File(const std::string& path, bool write)
        : standard_(path == "-" || path.empty()),
          path_(path),
          unfinished_(write && !standard_),
          fd_(standard_
                  ? (write ? STDOUT_FILENO : STDIN_FILENO)
                  : ::open(path.c_str(),
                           write ? O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC : O_RDONLY | O_CLOEXEC,
                           0600)) {
        if (fd_ < 0) trouble_ = path + ": " + std::strerror(errno);
    }
    ~File() {
        if (standard_ || fd_ < 0) return;
        ::close(fd_);
        if (unfinished_) ::unlink(path_.c_str());  // half a file looks like a whole one
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] const std::string& trouble() const { return trouble_; }
    bool write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) {
                trouble_ = std::string("writing: ") + std::strerror(errno);
                return false;
            }
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
        return true;
    }
    /// Keeps what was written.
    bool keep() {
        if (!trouble_.empty()) return false;
        if (!standard_ && ::fsync(fd_) != 0) {
            trouble_ = std::string("writing: ") + std::strerror(errno);
            return false;
        }
        unfinished_ = false;
        return true;
    }

private:
    bool standard_;
    std::string path_;
    bool unfinished_;
    int fd_;
    std::string trouble_;
};

struct ListArguments {
    std::string domain;
    std::string home;
    std::string state;
    std::size_t limit = 0;
};

std::string list_query(const ListArguments& arguments, std::size_t limit,
                       const std::string& after) {
    return "/v1/accounts?domain=" + net::percent_encoded(arguments.domain) +
           "&home=" + net::percent_encoded(arguments.home) + "&state=" + arguments.state +
           "&limit=" + std::to_string(limit) + "&after=" + net::percent_encoded(after);
}

/// Asks page by page, so that a million accounts are no single answer.
Result<> list_accounts(Commands& commands, const ListArguments& arguments) {
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    json all = json::array();
    std::string after;
    do {
        const std::size_t left = arguments.limit == 0 ? kPage : arguments.limit - all.size();
        auto page = (*client)->get(list_query(arguments, std::min(left, kPage), after));
        if (!page) return std::unexpected(page.error());
        for (json& account : (*page)["accounts"]) all.push_back(std::move(account));
        after = page->value("next", "");
    } while (!after.empty() && (arguments.limit == 0 || all.size() < arguments.limit));
    if (commands.options().json) {
        commands.print_json({{"accounts", std::move(all)}});
    } else {
        say(format_table(all, columns()));
    }
    return {};
}

struct AddArguments {
    std::string address;
    std::string home;
    std::uint64_t quota = 0;
    bool no_password = false;
    bool disabled = false;
};

Result<> add_account(Commands& commands, const AddArguments& arguments) {
    json body{{"address", arguments.address}, {"quota", arguments.quota}};
    if (!arguments.home.empty()) body["home"] = arguments.home;
    if (arguments.disabled) body["state"] = "disabled";
    if (!arguments.no_password) {
        const auto password = commands.new_password("Password of " + arguments.address);
        if (!password) return std::unexpected(password.error());
        body["password"] = *password;
    }
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto answer = (*client)->call("POST", "/v1/accounts", body);
    if (!answer) return std::unexpected(answer.error());
    if (commands.options().json) {
        commands.print_json(*answer);
    } else {
        say("account " + answer->value("address", "") + " added, its home is " +
            answer->value("home", "") + "\n");
    }
    return {};
}

using WithAddress = std::function<Result<>(const std::string&)>;

CLI::App* address_verb(Commands& commands, CLI::App* group, const std::string& verb,
                       const std::string& text, WithAddress run) {
    const auto address = std::make_shared<std::string>();
    CLI::App* made =
        commands.verb(group, verb, text, [address, run = std::move(run)] { return run(*address); });
    made->add_option("address", *address, "Address of the account")->required();
    return made;
}

WithAddress posting(Commands& commands, std::string action, std::string done) {
    return [&commands, action = std::move(action), done = std::move(done)](const std::string& who) {
        return commands.change("POST", path_of("/v1/accounts/", who, "/" + action), json::object(),
                               "account " + who + " " + done);
    };
}

struct ImportArguments {
    std::string file;
    std::string format;
    bool partial = false;
    bool update = false;
    bool dry_run = false;
    std::optional<std::size_t> progress_seconds;
};

std::string guessed_format(const ImportArguments& arguments) {
    if (!arguments.format.empty()) return arguments.format;
    return arguments.file.ends_with(".jsonl") || arguments.file.ends_with(".json") ? "jsonl"
                                                                                   : "csv";
}

std::string progress_text(const json& progress) {
    const auto number = [&progress](const char* field) {
        return with_commas(progress.value(field, std::uint64_t{0}));
    };
    if (progress.value("to_write", 0) > 0) {
        return "writing: " + number("written") + " of " + number("to_write") + " entries";
    }
    return "reading: " + number("rows") + " rows, " + number("rejected") + " rejected";
}

void print_report(const json& report) {
    for (const json& row : report.value("rejected_rows", json::array())) {
        std::fprintf(stderr, "line %s: %s\n", format_value(row["line"]).c_str(),
                     format_value(row["reason"]).c_str());
    }
    const auto number = [&report](const char* field) {
        return with_commas(report.value(field, std::uint64_t{0}));
    };
    say(number("rows") + " rows: " + number("created") + " created, " + number("updated") +
        " updated, " + number("rejected") + " rejected" +
        (report.value("written", false) ? "\n" : "; nothing was written\n"));
    const json sessions = report.value("sessions", json::object());
    if (const auto left = sessions.value("left_to_nodes", std::uint64_t{0}); left > 0) {
        say("sessions of " + with_commas(left) + " more accounts end as the nodes follow\n");
    }
}

Result<> import_accounts(Commands& commands, const ImportArguments& arguments) {
    const File file(arguments.file, false);
    if (!file.trouble().empty()) return fail(ErrorKind::Io, file.trouble());
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const std::string path = "/v1/accounts/import?format=" + guessed_format(arguments) +
                             "&partial=" + (arguments.partial ? "1" : "0") +
                             "&update=" + (arguments.update ? "1" : "0") +
                             "&dry_run=" + (arguments.dry_run ? "1" : "0");
    json last;
    {
        std::optional<std::chrono::seconds> every;
        if (arguments.progress_seconds) every = std::chrono::seconds(*arguments.progress_seconds);
        Progress progress(every);
        auto sent = (*client)->upload(path, file.fd(), [&](const json& line) {
            if (line.contains("progress")) progress.tell(progress_text(line["progress"]));
            last = line;
        });
        if (!sent) return sent;
    }
    if (last.contains("error")) return fail(ErrorKind::Refused, last["error"].get<std::string>());
    if (!last.contains("result")) return fail(ErrorKind::Unavailable, "the answer was cut off");
    if (commands.options().json) {
        commands.print_json(last["result"]);
    } else {
        print_report(last["result"]);
    }
    if (last["result"].value("written", false) || arguments.dry_run) {
        return all_ended(last["result"].value("sessions", json()));
    }
    return fail(ErrorKind::Refused, "rows were rejected, nothing was written (see --partial)");
}

struct ExportArguments {
    std::string file;
    std::string format = "csv";
    std::string domain;
    bool keys = false;
};

Result<> export_accounts(Commands& commands, const ExportArguments& arguments) {
    File file(arguments.file, true);
    if (!file.trouble().empty()) return fail(ErrorKind::Io, file.trouble());
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    Progress progress;
    std::uint64_t bytes = 0;
    auto got = (*client)->download("/v1/accounts/export?format=" + arguments.format +
                                       "&keys=" + (arguments.keys ? "1" : "0") +
                                       "&domain=" + net::percent_encoded(arguments.domain),
                                   nullptr, [&](std::string_view piece) {
                                       bytes += piece.size();
                                       progress.tell("received " + with_commas(bytes) + " bytes");
                                       return file.write(piece);
                                   });
    if (!got) return got;
    if (!file.keep()) return fail(ErrorKind::Io, file.trouble());
    return {};
}

void add_import_and_export(Commands& commands, CLI::App* group) {
    const auto in = std::make_shared<ImportArguments>();
    CLI::App* import = commands.verb(group, "import", "Add many from CSV or JSON lines",
                                     [&commands, in] { return import_accounts(commands, *in); });
    import->add_option("file", in->file, "File, or - for standard input")->required();
    import->add_option("--format", in->format, "csv or jsonl (else by the file's name)");
    import->add_flag("--partial", in->partial, "Write the good rows although others are rejected");
    import->add_flag("--update", in->update, "Change accounts that exist");
    import->add_option("--progress", in->progress_seconds,
                       "Say how far it is every so many seconds; 0: with all news");
    import->add_flag("--dry-run", in->dry_run, "Only say what would happen");
    const auto out = std::make_shared<ExportArguments>();
    CLI::App* exported =
        commands.verb(group, "export", "Write all to standard output or a file",
                      [&commands, out] { return export_accounts(commands, *out); });
    exported->add_option("file", out->file, "New file");
    exported->add_option("--format", out->format, "csv or jsonl")->capture_default_str();
    exported->add_option("--domain", out->domain, "Only this domain");
    exported->add_flag("--keys", out->keys, "With password keys");
}

void add_changing_verbs(Commands& commands, CLI::App* group) {
    const auto where = std::make_shared<CLI::App*>(nullptr);
    *where = address_verb(
        commands, group, "set", "Change home, quota or state",
        [&commands, where](const std::string& who) -> Result<> {
            auto object = object_from(account_fields(), (*where)->remaining());
            if (!object) {
                return std::unexpected(Error{ErrorKind::Syntax, "usage", object.error().detail});
            }
            return commands.change("PATCH", path_of("/v1/accounts/", who), *object,
                                   "account " + who + " changed");
        });
    (*where)->allow_extras();
    (*where)->footer(describe(account_fields()));
    address_verb(commands, group, "remove", "Remove one; its mail stays on its server",
                 [&commands](const std::string& who) -> Result<> {
                     if (auto sure = commands.confirm("Remove account " + who + "?"); !sure) {
                         return sure;
                     }
                     return commands.change("DELETE", path_of("/v1/accounts/", who), nullptr,
                                            "account " + who + " removed");
                 });
    address_verb(commands, group, "password", "Set a new password",
                 [&commands](const std::string& who) -> Result<> {
                     const auto password = commands.new_password("New password of " + who);
                     if (!password) return std::unexpected(password.error());
                     return commands.change("PUT", path_of("/v1/accounts/", who, "/password"),
                                            {{"password", *password}},
                                            "password of " + who + " changed");
                 });
    address_verb(commands, group, "disable", "Let nobody in; its sessions end",
                 posting(commands, "disable", "disabled"));
    address_verb(commands, group, "enable", "Let it in again",
                 posting(commands, "enable", "enabled"));
    struct Rename {
        std::string to;
        bool keep_alias = false;
    };
    const auto rename = std::make_shared<Rename>();
    CLI::App* renamed = address_verb(
        commands, group, "rename", "Give it another address; its mail stays where it is",
        [&commands, rename](const std::string& who) {
            return commands.change("POST", path_of("/v1/accounts/", who, "/rename"),
                                   {{"to", rename->to}, {"keep_alias", rename->keep_alias}},
                                   "account " + who + " is now " + rename->to);
        });
    renamed->add_option("to", rename->to, "New address")->required();
    renamed->add_flag("--keep-alias", rename->keep_alias, "The old address goes on working");
}

void add_reading_verbs(Commands& commands, CLI::App* group) {
    const auto list = std::make_shared<ListArguments>();
    CLI::App* listing = commands.verb(group, "list", "List accounts",
                                      [&commands, list] { return list_accounts(commands, *list); });
    listing->add_option("--domain", list->domain, "Only this domain");
    listing->add_option("--home", list->home, "Only those of this server");
    listing->add_option("--state", list->state, "active or disabled");
    listing->add_option("--limit", list->limit, "At most so many; 0: all");
    const auto print = [](const json& object) { say(format_object(object)); };
    address_verb(commands, group, "show", "Show one", [&commands, print](const std::string& who) {
        return commands.show(path_of("/v1/accounts/", who), print);
    });
    address_verb(commands, group, "locate", "Where a login with this name goes",
                 [&commands, print](const std::string& who) {
                     return commands.show(path_of("/v1/accounts/", who, "/locate"), print);
                 });
}

}  // namespace

void add_account_commands(Commands& commands) {
    CLI::App* group = commands.group("account", "Accounts");
    add_reading_verbs(commands, group);
    const auto add = std::make_shared<AddArguments>();
    CLI::App* adding = commands.verb(group, "add", "Add one",
                                     [&commands, add] { return add_account(commands, *add); });
    adding->add_option("address", add->address, "Address")->required();
    adding->add_option("--home", add->home, "Its server; else one of the domain's, by weight");
    adding->add_option("--quota", add->quota, "Bytes; 0: no limit");
    adding->add_flag("--no-password", add->no_password, "Nobody can log in until it has one");
    adding->add_flag("--disabled", add->disabled, "Do not let it in yet");
    add_changing_verbs(commands, group);
    add_import_and_export(commands, group);
}

}  // namespace muster::admin
