#include "net/http_client.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "net/pki.h"
#include "net/socket_address.h"

namespace muster::net {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

template <auto Free>
struct FreeBy {
    template <typename T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Easy = std::unique_ptr<CURL, FreeBy<curl_easy_cleanup>>;
using Multi = std::unique_ptr<CURLM, FreeBy<curl_multi_cleanup>>;
using Lines = std::unique_ptr<curl_slist, FreeBy<curl_slist_free_all>>;

void set_blob(CURL* easy, CURLoption option, const std::string& text) {
    curl_blob blob{const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
    curl_easy_setopt(easy, option, &blob);
}

void append(Lines& lines, const std::string& line) {
    lines.reset(curl_slist_append(lines.release(), line.c_str()));
}

}  // namespace

struct HttpClient::Impl {
    HttpTarget target;
    Multi multi{curl_multi_init()};
    Easy easy{curl_easy_init()};
    std::atomic<bool> cancelled{false};
    std::string pin;

    // Of the running call.
    const HttpCall* call = nullptr;
    const Sink* sink = nullptr;
    std::string* collected = nullptr;
    SteadyTime last_moved;
    bool enough = false;
    bool too_large = false;

    std::string refused_address;  ///< that a connection without encryption may not go to

    void set_peer();
    void set_signed_only();
    static curl_socket_t open_in_clear(void* self, curlsocktype, curl_sockaddr* address);
    void set_call(Lines& lines);
    Result<CURLcode> perform();
    [[nodiscard]] bool silent() const {
        return std::chrono::steady_clock::now() - last_moved > target.inactivity;
    }
    [[nodiscard]] int status() const {
        long code = 0;
        curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &code);
        return static_cast<int>(code);
    }
    std::size_t take(std::string_view bytes);
    static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self) {
        return static_cast<Impl*>(self)->take({data, size});
    }
    static std::size_t on_upload(char* into, std::size_t unit, std::size_t count, void* self) {
        auto* impl = static_cast<Impl*>(self);
        impl->last_moved = std::chrono::steady_clock::now();
        const std::size_t size = impl->call->upload(into, unit * count);
        return size == HttpCall::kUploadFailed ? std::size_t{CURL_READFUNC_ABORT} : size;
    }
    Result<HttpReply> run(const HttpCall& wanted);
    [[nodiscard]] std::unexpected<Error> failure(CURLcode code) const;
    void note_pin();
};

std::size_t HttpClient::Impl::take(std::string_view bytes) {
    last_moved = std::chrono::steady_clock::now();
    if (sink != nullptr) {
        enough = !(*sink)(status(), bytes);
        return enough ? 0 : bytes.size();
    }
    too_large = collected->size() + bytes.size() > target.reply_limit;
    if (too_large) return 0;
    collected->append(bytes);
    return bytes.size();
}

void HttpClient::Impl::set_peer() {
    CURL* const curl = easy.get();
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(target.connect_time.count()));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(target.total_time.count()));
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    if (!target.unix_socket.empty()) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, target.unix_socket.c_str());
    }
    if (!target.source_address.empty()) {
        curl_easy_setopt(curl, CURLOPT_INTERFACE, ("host!" + target.source_address).c_str());
    }
    if (!target.chain.empty()) {
        set_blob(curl, CURLOPT_SSLCERT_BLOB, target.chain);
        set_blob(curl, CURLOPT_SSLKEY_BLOB, target.key);
    }
    if (!target.encryption) set_signed_only();
    if (!target.user.empty()) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, target.user.c_str());
        curl_easy_setopt(curl, CURLOPT_PASSWORD, target.password.c_str());
    }
    const bool verify = target.trust.kind == TlsTrust::Kind::Authority;
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
    if (verify && !target.trust.authorities.empty()) {
        set_blob(curl, CURLOPT_CAINFO_BLOB, target.trust.authorities);
    }
    if (target.trust.kind == TlsTrust::Kind::Pin) {
        curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, target.trust.pin.c_str());
    }
}

void HttpClient::Impl::set_signed_only() {
    CURL* const curl = easy.get();
    curl_easy_setopt(curl, CURLOPT_SSLVERSION,
                     static_cast<long>(CURL_SSLVERSION_TLSv1_2) |
                         static_cast<long>(CURL_SSLVERSION_MAX_TLSv1_2));
    curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, kSignedOnly);
    curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, &Impl::open_in_clear);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, this);
}

curl_socket_t HttpClient::Impl::open_in_clear(void* self, curlsocktype, curl_sockaddr* address) {
    auto* impl = static_cast<Impl*>(self);
    SocketAddress to;
    std::memcpy(to.data(), &address->addr, std::min<std::size_t>(address->addrlen, to.length));
    const IpAddress& ip = to.endpoint().address;
    if (!impl->target.may_be_clear || !impl->target.may_be_clear(ip)) {
        impl->refused_address = ip.text();
        return CURL_SOCKET_BAD;
    }
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void HttpClient::Impl::set_call(Lines& lines) {
    CURL* const curl = easy.get();
    curl_easy_setopt(curl, CURLOPT_URL, (target.origin + call->path).c_str());
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Impl::on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method.c_str());
    if (call->method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    append(lines, "Expect:");
    for (const auto& [name, value] : call->headers) append(lines, name + ": " + value);
    if (call->upload) {
        append(lines, "Content-Type: " + call->content_type);
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, &Impl::on_upload);
        curl_easy_setopt(curl, CURLOPT_READDATA, this);
    } else if (!call->body.empty() || call->method == "POST" || call->method == "PUT" ||
               call->method == "PATCH") {
        append(lines, "Content-Type: " + call->content_type);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                         static_cast<curl_off_t>(call->body.size()));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.data());
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines.get());
}

/// Turns until the call has ended, was cancelled or fell silent.
Result<CURLcode> HttpClient::Impl::perform() {
    int running = 1;
    while (running > 0) {
        if (curl_multi_perform(multi.get(), &running) != CURLM_OK) break;
        if (cancelled.exchange(false))
            return fail(ErrorKind::Unavailable, "the call was cancelled");
        if (running == 0) break;
        if (silent()) return fail(ErrorKind::Unavailable, "nothing heard from " + target.origin);
        constexpr int kLook = 500;
        curl_multi_poll(multi.get(), nullptr, 0, kLook, nullptr);
    }
    int queued = 0;
    const CURLMsg* message = curl_multi_info_read(multi.get(), &queued);
    if (message == nullptr) return CURLE_FAILED_INIT;
    return message->data.result;
}

std::unexpected<Error> HttpClient::Impl::failure(CURLcode code) const {
    const bool proof = code == CURLE_PEER_FAILED_VERIFICATION ||
                       code == CURLE_SSL_PINNEDPUBKEYNOTMATCH || code == CURLE_SSL_CERTPROBLEM ||
                       code == CURLE_SSL_CACERT_BADFILE;
    const std::string& where = target.unix_socket.empty() ? target.origin : target.unix_socket;
    if (too_large) return fail(ErrorKind::Limit, "the answer of " + where + " is too large");
    if (!refused_address.empty()) {
        return fail(ErrorKind::Refused, where + " is " + refused_address +
                                            ": without encryption only private addresses are "
                                            "spoken with");
    }
    return fail(proof ? ErrorKind::Refused : ErrorKind::Unavailable,
                "cannot reach " + where + ": " + curl_easy_strerror(code));
}

void HttpClient::Impl::note_pin() {
    curl_certinfo* chain = nullptr;
    curl_easy_getinfo(easy.get(), CURLINFO_CERTINFO, &chain);
    if (chain == nullptr || chain->num_of_certs < 1) return;
    constexpr std::string_view kField = "Cert:";
    for (const curl_slist* line = chain->certinfo[0]; line != nullptr; line = line->next) {
        const std::string_view text(line->data);
        if (!text.starts_with(kField)) continue;
        pin = pin_of(text.substr(kField.size())).value_or("");
    }
}

Result<HttpReply> HttpClient::Impl::run(const HttpCall& wanted) {
    call = &wanted;
    enough = too_large = false;
    refused_address.clear();
    last_moved = std::chrono::steady_clock::now();
    Lines lines;
    curl_easy_reset(easy.get());
    set_peer();
    set_call(lines);
    curl_multi_add_handle(multi.get(), easy.get());
    const auto code = perform();
    note_pin();
    HttpReply reply;
    reply.status = status();
    const char* type = nullptr;
    curl_easy_getinfo(easy.get(), CURLINFO_CONTENT_TYPE, &type);
    if (type != nullptr) reply.content_type = type;
    curl_multi_remove_handle(multi.get(), easy.get());
    if (!code) return std::unexpected(code.error());
    if (*code != CURLE_OK && !enough) return failure(*code);
    return reply;
}

HttpClient::HttpClient(HttpTarget target) : impl_(std::make_unique<Impl>()) {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    MUSTER_CHECK(started == CURLE_OK && impl_->easy && impl_->multi);
    impl_->target = std::move(target);
}
HttpClient::~HttpClient() = default;

Result<HttpReply> HttpClient::call(const HttpCall& wanted) {
    std::string body;
    impl_->sink = nullptr;
    impl_->collected = &body;
    auto reply = impl_->run(wanted);
    if (reply) reply->body = std::move(body);
    return reply;
}

Result<HttpReply> HttpClient::stream(const HttpCall& wanted, const Sink& sink) {
    impl_->sink = &sink;
    return impl_->run(wanted);
}

void HttpClient::cancel() {
    impl_->cancelled = true;
    curl_multi_wakeup(impl_->multi.get());
}

const HttpTarget& HttpClient::target() const { return impl_->target; }
std::string HttpClient::peer_pin() const { return impl_->pin; }

}  // namespace muster::net
