#pragma once
// The way into a ManageSieve server: XCLIENT (Dovecot), AUTHENTICATE.

#include "frontend/upstream.h"
#include "wire/sieve.h"

namespace muster::frontend {

class SieveUpstream final : public Upstream {
public:
    using Upstream::Upstream;

    Task<Result<wire::Capabilities>> list_capabilities() override;
    Task<Result<SaslStep>> begin(UpstreamLogin login) override;
    Task<Result<SaslStep>> answer(std::string base64) override;
    [[nodiscard]] bool introduces() const override;

private:
    Task<Result<>> read_greeting() override;
    Task<Result<>> request_tls() override;
    Task<Result<>> learn_capabilities() override;

    /// One line with the literals it announces.
    Task<Result<std::string>> text();
    /// Capability lines (RFC 5804, 1.7) and the OK that ends them.
    Task<Result<>> read_listing();
    Task<Result<>> expect_ok();
    Task<Result<SaslStep>> outcome();

    wire::Capabilities capabilities_;
};

}  // namespace muster::frontend
