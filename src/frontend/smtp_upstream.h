#pragma once
// The way into a submission server: XCLIENT (Postfix, Dovecot), AUTH (RFC 4954).

#include "frontend/upstream.h"
#include "wire/smtp_reply.h"

namespace muster::frontend {

/// Only logs in, which proves the credentials; no mail goes over it.
class SmtpUpstream final : public Upstream {
public:
    using Upstream::Upstream;

    Task<Result<wire::Capabilities>> list_capabilities() override;
    Task<Result<SaslStep>> begin(UpstreamLogin login) override;
    Task<Result<SaslStep>> answer(std::string base64) override;
    [[nodiscard]] bool introduces() const override;
    void leave() override;

private:
    Task<Result<>> read_greeting() override;
    Task<Result<>> request_tls() override;
    Task<Result<>> learn_capabilities() override;

    Task<Result<wire::smtp::Reply>> reply();
    Task<Result<>> expect(std::uint16_t code);
    Task<Result<>> introduce(std::string command);
    [[nodiscard]] std::string introduction(const wire::Introduction& client) const;
    Task<Result<SaslStep>> log_in_step_by_step(std::string message);
    Task<Result<SaslStep>> outcome();

    wire::smtp::ReplyParser parser_;
    wire::smtp::ServerExtensions extensions_;
};

}  // namespace muster::frontend
