#include "admin/api_client.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "admin/fan_out.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

bool is_url(std::string_view api) {
    return api.starts_with("http://") || api.starts_with("https://");
}

net::HttpTarget target_of(const ApiAddress& address) {
    net::HttpTarget target;
    if (is_url(address.api)) {
        target.origin = address.api;
        while (target.origin.ends_with('/')) target.origin.pop_back();
    } else {
        target.origin = "http://localhost";
        target.unix_socket = address.api;
    }
    target.trust = {net::TlsTrust::Kind::Authority, address.authorities, ""};
    target.user = address.user;
    target.password = address.password;
    // A move, an import or an account's end may take its time.
    target.inactivity = std::chrono::minutes(10);
    return target;
}

/// Calls `use` for each whole line; keeps the rest.
class Lines {
public:
    template <typename Use>
    void take(std::string_view bytes, Use use) {
        pending_ += bytes;
        std::size_t begin = 0;
        for (std::size_t end = 0; (end = pending_.find('\n', begin)) != std::string::npos;
             begin = end + 1) {
            use(std::string_view(pending_).substr(begin, end - begin));
        }
        pending_.erase(0, begin);
    }

private:
    std::string pending_;
};

}  // namespace

ApiClient::ApiClient(const ApiAddress& address) : address_(address), client_(target_of(address)) {}

std::unexpected<Error> ApiClient::failure(const Error& error) const {
    if (error.kind != ErrorKind::Unavailable || is_url(address_.api) ||
        client_.target().origin.empty()) {
        return std::unexpected(error);
    }
    if (::access(address_.api.c_str(), F_OK) != 0) {
        return fail(ErrorKind::Unavailable,
                    "no node answers at " + address_.api + " (say which with --api SOCKET-OR-URL)");
    }
    if (::access(address_.api.c_str(), R_OK | W_OK) != 0) {
        return fail(ErrorKind::Refused, "no permission for " + address_.api +
                                            ": only the user that muster runs as, and root");
    }
    return std::unexpected(error);
}

net::HttpCall ApiClient::call_of(const std::string& method, const std::string& path) const {
    net::HttpCall call{method, path};
    if (!address_.node.empty()) call.headers.emplace_back("X-Muster-Node", address_.node);
    return call;
}

Result<json> ApiClient::call(const std::string& method, const std::string& path, const json& body) {
    net::HttpCall out = call_of(method, path);
    if (!body.is_null()) out.body = state::json_line(body);
    const auto reply = client_.call(out);
    if (!reply) return failure(reply.error());
    return body_of(reply);
}

Result<> ApiClient::upload(const std::string& path, int fd,
                           const std::function<void(const json&)>& line) {
    net::HttpCall out = call_of("POST", path);
    out.content_type = "application/octet-stream";
    int trouble = 0;
    out.upload = [fd, &trouble](char* into, std::size_t room) -> std::size_t {
        ssize_t count = 0;
        do {
            count = ::read(fd, into, room);
        } while (count < 0 && errno == EINTR);
        if (count >= 0) return static_cast<std::size_t>(count);
        trouble = errno;
        return net::HttpCall::kUploadFailed;
    };
    std::string refusal;
    Lines lines;
    const auto reply = client_.stream(out, [&](int status, std::string_view bytes) {
        if (status != 200) {
            refusal += bytes;
            return true;
        }
        lines.take(bytes, [&line](std::string_view text) {
            const json parsed = state::parse_json(text);
            if (parsed.is_object()) line(parsed);
        });
        return true;
    });
    if (trouble != 0) return fail(ErrorKind::Io, std::string("reading: ") + std::strerror(trouble));
    if (!reply) return failure(reply.error());
    if (reply->status == 200) return {};
    net::HttpReply refused = *reply;
    refused.body = refusal;
    return std::unexpected(body_of(refused).error());
}

Result<> ApiClient::download(const std::string& path, const json& body,
                             const std::function<bool(std::string_view)>& sink) {
    net::HttpCall out = call_of(body.is_null() ? "GET" : "POST", path);
    if (!body.is_null()) out.body = state::json_line(body);
    std::string refusal;
    const auto reply = client_.stream(out, [&](int status, std::string_view bytes) {
        if (status == 200) return sink(bytes);
        refusal += bytes;
        return true;
    });
    if (!reply) return failure(reply.error());
    if (reply->status == 200) return {};
    net::HttpReply refused = *reply;
    refused.body = refusal;
    return std::unexpected(body_of(refused).error());
}

std::string path_of(std::string_view before, std::string_view name, std::string_view after) {
    return std::string(before) + net::percent_encoded(name) + std::string(after);
}

}  // namespace muster::admin
