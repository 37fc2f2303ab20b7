#pragma once
// The way into a POP3 server: XCLIENT (Dovecot), AUTH or USER/PASS.

#include "frontend/upstream.h"
#include "wire/pop3.h"

namespace muster::frontend {

class Pop3Upstream final : public Upstream {
public:
    using Upstream::Upstream;

    Task<Result<wire::Capabilities>> list_capabilities() override;
    Task<Result<SaslStep>> begin(UpstreamLogin login) override;
    Task<Result<SaslStep>> answer(std::string base64) override;
    [[nodiscard]] bool introduces() const override;

private:
    Task<Result<wire::Capabilities>> read_listing();
    Task<Result<>> read_greeting() override;
    Task<Result<>> request_tls() override;
    Task<Result<>> learn_capabilities() override;

    Task<Result<SaslStep>> begin_user_pass(std::string introduction, std::string_view message);
    Task<Result<SaslStep>> outcome();
    /// One answer that must be +OK.
    Task<Result<>> expect_ok();
    /// The answer to XCLIENT, where it was sent.
    Task<Result<>> introduced();
    Task<Result<>> send_and_expect_ok(std::string command);

    bool takes_xclient_ = false;
    wire::Capabilities capabilities_;
};

}  // namespace muster::frontend
