// Calls whose bodies are too large for memory: imports, exports, backups. A body is kept in an
// unlinked file meanwhile, so that a slow client holds neither a thread nor the store.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "admin/api.h"
#include "admin/backup.h"
#include "admin/body_file.h"
#include "admin/fan_out.h"
#include "admin/files.h"
#include "admin/long_job.h"
#include "admin/state_entries.h"
#include "base/log.h"
#include "base/seal.h"
#include "cluster/account_import.h"
#include "state/directory_store.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kPiece = 256 * 1024;

// An exchange and the node outlive the handlers of the exchange.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

/// Runs `produce` into a file first and sends that: an error is then still an error.
Task<void> send_produced(NodeContext& node, net::HttpExchange& exchange, std::string content_type,
                         std::function<Result<>(BodyFile&)> produce) {
    auto spool = BodyFile::open(node.config.node.state_dir);
    if (!spool) co_return co_await exchange.respond(error_response(spool.error()));
    const auto produced =
        co_await net::Blocking(*node.control, node.pools->transfers, [&]() -> Result<> {
            if (auto made = produce(**spool); !made) return made;
            return (*spool)->rewind();
        });
    if (!produced) co_return co_await exchange.respond(error_response(produced.error()));
    net::HttpResponse head;
    head.content_type = std::move(content_type);
    co_await exchange.begin(head);
    std::string piece(kPiece, '\0');
    for (;;) {
        const auto count = co_await net::Blocking(*node.control, node.pools->calls,
                                                  [&] { return (*spool)->read(piece); });
        if (!count) {
            log::error("export_cut_off", {{"reason", count.error().detail}});
            co_return;  // without finish(): the client learns that it has not got everything
        }
        if (*count == 0) break;
        co_await exchange.send(std::string_view(piece).substr(0, *count));
    }
    co_await exchange.finish();
}

json shown(const cluster::ImportProgress& progress) {
    return {{"rows", progress.rows},
            {"rejected", progress.rejected},
            {"written", progress.written},
            {"to_write", progress.to_write}};
}

json shown(const cluster::ImportReport& report) {
    json rejected = json::array();
    for (const cluster::RejectedRow& row : report.rejected_rows) {
        rejected.push_back({{"line", row.line}, {"reason", row.reason}});
    }
    return {{"rows", report.rows},       {"created", report.created},
            {"updated", report.updated}, {"rejected", report.rejected},
            {"written", report.written}, {"rejected_rows", std::move(rejected)}};
}

bool flag(const net::HttpRequest& request, std::string_view name) {
    const auto value = net::query_value(request.query, name);
    return value && *value != "0" && *value != "false";
}

Result<> write_audit(NodeContext& node, const Caller& caller, std::string action, json after,
                     const std::string& outcome) {
    return append_audit(node, {caller.name, caller.from, std::move(action), "", nullptr,
                               std::move(after), outcome});
}

ApiResult import_from(NodeContext& node, BodyFile& spool, cluster::ImportOptions options, Job& job,
                      const Caller& caller) {
    options.progress = [&job](const cluster::ImportProgress& progress) {
        job.tell(shown(progress));
    };
    const auto report = cluster::import_accounts(
        *node.directory,
        [&node, &spool](std::span<char> into) -> Result<std::size_t> {
            if (node.stopping) return fail(ErrorKind::Unavailable, "the node is stopping");
            return spool.read(into);
        },
        options);
    if (!report) {
        static_cast<void>(
            write_audit(node, caller, "account import", nullptr, report.error().detail));
        return std::unexpected(report.error());
    }
    json result = shown(*report);
    json summary = result;
    summary.erase("rejected_rows");
    const std::string outcome = report->written ? "done" : "not written";
    auto audited = write_audit(node, caller, "account import", summary, outcome);
    result["sessions"] = end_accounts_everywhere(node, report->to_end, "changed");
    if (!audited) return std::unexpected(audited.error());
    return result;
}

Task<void> import_accounts(NodeContext& node, net::HttpExchange& exchange, Caller caller) {
    const net::HttpRequest& request = exchange.request();
    cluster::ImportOptions options;
    const auto format =
        cluster::account_format_from(net::query_value(request.query, "format").value_or("csv"));
    if (!format) co_return co_await exchange.respond(error_response(format.error()));
    options.format = *format;
    options.all_or_nothing = !flag(request, "partial");
    options.update_existing = flag(request, "update");
    options.dry_run = flag(request, "dry_run");
    auto spool = BodyFile::open(node.config.node.state_dir);
    if (!spool) co_return co_await exchange.respond(error_response(spool.error()));
    const auto received = co_await receive(node, exchange, **spool);
    if (!received) co_return co_await exchange.respond(error_response(received.error()));
    const std::shared_ptr<BodyFile> shared = std::move(*spool);
    Work work = [&node, shared, options, caller](Job& job) {
        return import_from(node, *shared, options, job, caller);
    };
    co_await run_with_progress(node, exchange, std::move(work));
}

Task<void> export_accounts(NodeContext& node, net::HttpExchange& exchange, Caller caller) {
    const net::HttpRequest& request = exchange.request();
    cluster::ExportOptions options;
    const auto format =
        cluster::account_format_from(net::query_value(request.query, "format").value_or("csv"));
    if (!format) co_return co_await exchange.respond(error_response(format.error()));
    options.format = *format;
    options.with_keys = flag(request, "keys");
    options.domain = net::query_value(request.query, "domain").value_or("");
    std::function<Result<>(BodyFile&)> produce = [&node, options,
                                                  caller](BodyFile& spool) -> Result<> {
        if (options.with_keys) {
            auto audited = write_audit(node, caller, "account export with keys", nullptr, "begun");
            if (!audited) return audited;
        }
        const auto count = cluster::export_accounts(
            *node.directory, [&spool](std::string_view bytes) { return spool.append(bytes); },
            options);
        if (!count) return std::unexpected(count.error());
        return {};
    };
    const bool csv = options.format == cluster::AccountFormat::Csv;
    co_await send_produced(node, exchange, csv ? "text/csv" : "application/jsonl",
                           std::move(produce));
}

Task<void> export_cluster(NodeContext& node, net::HttpExchange& exchange, Caller caller) {
    const bool with_keys = flag(exchange.request(), "keys");
    std::function<Result<>(BodyFile&)> produce = [&node, with_keys,
                                                  caller](BodyFile& spool) -> Result<> {
        if (with_keys) {
            auto audited = write_audit(node, caller, "cluster export with keys", nullptr, "begun");
            if (!audited) return audited;
        }
        return export_entries(*node.directory, with_keys,
                              [&spool](std::string_view bytes) { return spool.append(bytes); });
    };
    co_await send_produced(node, exchange, "application/json", std::move(produce));
}

Result<> backup_into(NodeContext& node, const std::string& passphrase, BodyFile& spool) {
    const std::string path = node.config.node.state_dir + "/backup-" + random_name(8) + ".tmp";
    auto written = write_backup(*node.directory, node.config.node.state_dir, passphrase, path);
    if (!written) return written;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ::unlink(path.c_str());
    if (fd < 0) return fail(ErrorKind::Io, std::string("backup: ") + std::strerror(errno));
    BodyFile file(fd);
    std::string piece(kPiece, '\0');
    for (;;) {
        const auto count = file.read(piece);
        if (!count) return std::unexpected(count.error());
        if (*count == 0) return {};
        auto kept = spool.append(std::string_view(piece).substr(0, *count));
        if (!kept) return kept;
    }
}

Task<void> backup(NodeContext& node, net::HttpExchange& exchange, Caller caller) {
    const auto body = co_await exchange.body(kPiece);
    const json request = body ? state::parse_json(*body) : json();
    const std::string passphrase = text_field(request, "passphrase").value_or("");
    if (passphrase.empty()) {
        const Error error{ErrorKind::Syntax, "", "a passphrase is needed"};
        co_return co_await exchange.respond(error_response(error));
    }
    std::function<Result<>(BodyFile&)> produce = [&node, passphrase, caller](BodyFile& spool) {
        auto made = backup_into(node, passphrase, spool);
        auto audited = write_audit(node, caller, "cluster backup", nullptr,
                                   made ? "done" : made.error().detail);
        return made ? audited : made;
    };
    co_await send_produced(node, exchange, "application/octet-stream", std::move(produce));
}

using Serve = Task<void> (*)(NodeContext&, net::HttpExchange&, Caller);

struct StreamRoute {
    std::string_view method;
    std::string_view path;
    bool needs_full_rights;
    Serve serve;
    bool is_for_members = false;  ///< a member that may write needs no administrator
};

constexpr std::array kStreams{
    StreamRoute{"POST", "/v1/accounts/import", true, import_accounts, true},
    StreamRoute{"GET", "/v1/accounts/export", false, export_accounts},
    StreamRoute{"GET", "/v1/cluster/export", false, export_cluster},
    StreamRoute{"POST", "/v1/cluster/backup", true, backup},
};

auto route_of(const net::HttpRequest& request) {
    return std::ranges::find_if(kStreams, [&request](const StreamRoute& one) {
        return one.method == request.method && one.path == request.path;
    });
}

}  // namespace

bool is_stream(const net::HttpRequest& request) { return route_of(request) != kStreams.end(); }

Task<bool> serve_stream(NodeContext& node, net::HttpExchange& exchange, const Caller& caller) {
    if (co_await serve_queue_stream(node, exchange, caller)) co_return true;
    const net::HttpRequest& request = exchange.request();
    const auto* const route = route_of(request);
    if (route == kStreams.end()) co_return false;
    const bool keys = flag(request, "keys");
    if (!node.is_master()) {
        // A caller that is cut off while it sends would not hear why.
        auto unwanted = BodyFile::open(node.config.node.state_dir);
        if (caller.is_node && unwanted) (void)co_await receive(node, exchange, **unwanted);
        const Error error{ErrorKind::Refused, std::string(state::kMasterChanging),
                          "not a master: ask a master (nothing was changed)"};
        co_await exchange.respond(error_response(error));
    } else if (caller.is_node && !(route->is_for_members && caller.may_write)) {
        // Whole directories, password keys and the authority's key are for people, whatever a
        // member may write.
        const Error error{ErrorKind::Refused, "", "this needs an administrator of the cluster"};
        co_await exchange.respond(error_response(error));
    } else if ((route->needs_full_rights || keys) && !caller.may_write) {
        const Error error{ErrorKind::Refused, "", caller.name + " may only read"};
        co_await exchange.respond(error_response(error));
    } else if (node.pools->transfers.full()) {
        const Error error{ErrorKind::Unavailable, "", "too many transfers are going on: try again"};
        co_await exchange.respond(error_response(error));
    } else {
        co_await route->serve(node, exchange, caller);
    }
    co_return true;
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

}  // namespace muster::admin
