#pragma once
// The way into an IMAP server: ID with the client's address (Dovecot), AUTHENTICATE or LOGIN.

#include "frontend/upstream.h"
#include "wire/imap.h"

namespace muster::frontend {

class ImapUpstream final : public Upstream {
public:
    using Upstream::Upstream;

    Task<Result<wire::Capabilities>> list_capabilities() override;
    Task<Result<SaslStep>> begin(UpstreamLogin login) override;
    Task<Result<SaslStep>> answer(std::string base64) override;
    [[nodiscard]] bool introduces() const override;
    void leave() override { say_last("M3 LOGOUT\r\n"); }

private:
    Task<Result<>> read_greeting() override;
    Task<Result<>> request_tls() override;
    Task<Result<>> learn_capabilities() override;

    /// LOGIN, for servers without AUTH=PLAIN.
    Task<Result<SaslStep>> begin_login(std::string introduction, std::string_view message);
    /// Reads until the server asks or decides.
    Task<Result<SaslStep>> outcome();
    Result<SaslStep> judge(const wire::imap::Response& response) const;
    /// Waits for the tagged answer to `tag`; keeps capabilities it passes.
    Task<Result<>> expect_ok(std::string_view tag);

    std::shared_ptr<const wire::Capabilities> capabilities_;  ///< null: not told yet
    std::string untagged_capabilities_;                       ///< seen during the login
};

}  // namespace muster::frontend
