#include "frontend/sieve_upstream.h"

#include "base/base64.h"

namespace muster::frontend {

namespace sieve = wire::sieve;

Task<Result<std::string>> SieveUpstream::text() {
    wire::CommandAssembler assembler({.total = 65536, .literal = 32768, .literals = 8});
    for (;;) {
        const auto read = co_await line();
        if (!read) co_return std::unexpected(read.error());
        const auto literal = assembler.add_line(*read);
        if (!literal) co_return broken(literal.error().detail);
        if (!*literal) co_return std::string(assembler.text());
        const auto bytes = co_await reader_.exactly((*literal)->size);
        if (!bytes) co_return broken("it closed the connection");
        if (auto added = assembler.add_literal(*bytes); !added) co_return broken("a literal");
    }
}

Task<Result<>> SieveUpstream::read_listing() {
    capabilities_ = {};
    for (;;) {
        const auto answer = co_await text();
        if (!answer) co_return std::unexpected(answer.error());
        if (!sieve::is_response(*answer)) {
            if (auto read = sieve::parse_capability(*answer, capabilities_); !read) co_return read;
            continue;
        }
        const auto response = sieve::parse_response(*answer);
        if (!response) co_return std::unexpected(response.error());
        if (response->status == sieve::Status::Ok) co_return Result<>{};
        co_return broken(response->text);
    }
}

Task<Result<>> SieveUpstream::read_greeting() { co_return co_await read_listing(); }

Task<Result<>> SieveUpstream::request_tls() {
    co_await stream_->write("STARTTLS\r\n");
    co_return co_await expect_ok();
}

Task<Result<>> SieveUpstream::learn_capabilities() {
    // After STARTTLS the listing comes again by itself (RFC 5804, 2.2).
    if (target_->tls != cluster::TlsMode::StartTls) co_return Result<>{};
    co_return co_await read_listing();
}

Task<Result<wire::Capabilities>> SieveUpstream::list_capabilities() {
    co_await stream_->write("CAPABILITY\r\n");
    if (auto listed = co_await read_listing(); !listed) co_return std::unexpected(listed.error());
    co_return capabilities_;
}

Task<Result<>> SieveUpstream::expect_ok() {
    const auto answer = co_await text();
    if (!answer) co_return std::unexpected(answer.error());
    const auto response = sieve::parse_response(*answer);
    if (!response || response->status != sieve::Status::Ok) {
        co_return broken(answer->substr(0, 100));
    }
    co_return Result<>{};
}

bool SieveUpstream::introduces() const {
    return target_->introduce == cluster::Introduce::Xclient &&
           target_->kind == cluster::ServerKind::Dovecot;
}

Task<Result<SaslStep>> SieveUpstream::begin(UpstreamLogin login) {
    std::string commands;
    if (introduces()) {
        auto xclient = wire::write_xclient(login.introduction);
        if (!xclient) co_return std::unexpected(xclient.error());
        commands = std::move(*xclient);
    }
    const std::string initial = base64_encode(login.message);
    commands += sieve::write_authenticate(wire::sasl::name(login.mechanism), initial);
    co_await stream_->write(commands);
    if (introduces()) {
        if (auto taken = co_await expect_ok(); !taken) {
            refusal_ = taken.error().detail;
            co_return std::unexpected(taken.error());
        }
    }
    co_return co_await outcome();
}

Task<Result<SaslStep>> SieveUpstream::answer(std::string base64) {
    std::string command;
    sieve::append_string(command, base64);
    command += "\r\n";
    co_await stream_->write(command);
    co_return co_await outcome();
}

Task<Result<SaslStep>> SieveUpstream::outcome() {
    const auto answer = co_await text();
    if (!answer) co_return std::unexpected(answer.error());
    if (!sieve::is_response(*answer)) {
        const auto challenge = sieve::parse_response_string(*answer);
        if (!challenge) co_return broken(answer->substr(0, 100));
        co_return SaslStep{SaslStep::Kind::Challenge, std::string(*challenge)};
    }
    const auto response = sieve::parse_response(*answer);
    if (!response) co_return broken(answer->substr(0, 100));
    if (response->status == sieve::Status::Bye) co_return broken(response->text);
    if (response->status == sieve::Status::Ok) {
        std::string success;
        // The last server message of SCRAM travels with the OK (RFC 5804, 2.1).
        if (response->code_is("SASL")) success = "(" + response->code + ") ";
        co_return SaslStep{SaslStep::Kind::Accepted, success + "\"Logged in.\""};
    }
    // A server that wants encryption means our connection to it, not the client's to us.
    if (response->code_is("TRYLATER") || response->code_is("ENCRYPT-NEEDED")) {
        co_return fail(ErrorKind::Unavailable, "unavailable", response->text);
    }
    co_return SaslStep{SaslStep::Kind::Denied, {}};
}

}  // namespace muster::frontend
