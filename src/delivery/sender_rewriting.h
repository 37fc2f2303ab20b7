#pragma once
// SRS as a front end uses it: as whom forwarded mail leaves, and where its reports lead.

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/directory.h"
#include "cluster/recipients.h"
#include "wire/smtp.h"

namespace muster::delivery {

/// The cluster's domain for it and its secret, which all front ends have in common: a report finds
/// its way back through any of them. Thread-safe; use() holds from the next address on.
class SenderRewriting {
public:
    struct Rules {
        std::string domain{};  ///< empty: nothing is rewritten, nothing leads back
        /// The first one makes addresses, each is accepted. Empty: none is made, and those of this
        /// domain cannot be told from forged ones.
        std::vector<std::string> keys{};
    };

    void use(Rules rules);
    [[nodiscard]] std::shared_ptr<const Rules> rules() const;

    /// As whom mail of `sender` (without <>) goes on to an address outside: itself where it is the
    /// null sender, of a domain of ours, or too long.
    [[nodiscard]] std::string forwarded(const cluster::Topology& topology,
                                        const std::string& sender) const;

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Rules> rules_ = std::make_shared<const Rules>();
};

/// cluster::find_recipient(), and for addresses of the rewriting's domain where they lead: a forged
/// or expired one is Unknown, and Unavailable is said before there are keys. Outside targets of an
/// accepted address have the text that goes into RCPT. `rewriting` may be null.
Result<cluster::MailRoute> find_mail_route(cluster::Directory& directory,
                                           const SenderRewriting* rewriting,
                                           const wire::smtp::Path& path,
                                           std::string_view own_domain);

/// Whether it is of the rewriting's domain and looks like a sender that was rewritten, by whomever:
/// only reports, from the null sender, may go there. Otherwise whoever has read one in forwarded
/// mail could send to the world through us. `rewriting` may be null.
[[nodiscard]] bool is_for_reports(const SenderRewriting* rewriting, const wire::smtp::Path& path);

/// Whether a target of such a route is mail that is passed on in another's name: an address in the
/// world that an alias, a catch-all or a rewritten sender led to.
[[nodiscard]] bool is_forwarded(const cluster::MailRoute& route, const cluster::MailTarget& target);

}  // namespace muster::delivery
