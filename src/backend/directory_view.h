#pragma once
// The account view on the node's replica.

#include "backend/account_view.h"
#include "cluster/directory.h"

namespace muster::backend {

class DirectoryView final : public AccountView {
public:
    explicit DirectoryView(const cluster::TopologyTable& topology) : directory_(topology) {}

    Result<std::optional<AccountFacts>> find(std::string_view name) override;
    Result<std::vector<std::string>> keys(const AccountId& id) override;
    Result<Listing<AccountFacts>> accounts(std::string_view from) override;
    Result<std::optional<std::string>> shared(std::string_view to, std::string_view from) override;
    Result<Listing<SharedMailbox>> shares(std::string_view to, std::string_view start) override;

private:
    cluster::Directory directory_;
};

}  // namespace muster::backend
