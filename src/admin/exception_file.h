#pragma once
// What this node does otherwise than the directories it reads: `exceptions.json` in its state
// folder, which no other node sees.

#include <nlohmann/json.hpp>

#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "cluster/domain_exceptions.h"

namespace muster::admin {

/// `{"domains": {NAME: merge patch}}`, written as a whole, for its owner's eyes. What this version
/// does not know in it stays. A damaged file hinders nobody: no exception is in force then, and
/// none is changed, so that what stands there is not lost. Thread-safe; blocks on the disk.
class ExceptionFile {
public:
    /// Reads at once; what is wrong with the file is logged.
    explicit ExceptionFile(std::string path);

    /// Those in force, for the topology.
    [[nodiscard]] std::shared_ptr<const cluster::DomainExceptions> exceptions() const {
        return exceptions_;
    }
    /// Why the file cannot be used; empty when it can.
    [[nodiscard]] std::string trouble() const;
    /// The patch of a domain; null when there is none.
    [[nodiscard]] nlohmann::json of(std::string_view domain) const;
    /// By domain.
    [[nodiscard]] nlohmann::json all() const;
    /// Replaces the patch of a domain; an empty or null one takes it away. Errors: Conflict (the
    /// file is damaged), Limit, Io.
    Result<> put(const std::string& domain, const nlohmann::json& patch);

private:
    Result<> read();
    void use();

    const std::string path_;
    const std::shared_ptr<cluster::DomainExceptions> exceptions_ =
        std::make_shared<cluster::DomainExceptions>();
    mutable std::mutex mutex_;
    nlohmann::json content_ = nlohmann::json::object();
    std::string trouble_;
};

}  // namespace muster::admin
