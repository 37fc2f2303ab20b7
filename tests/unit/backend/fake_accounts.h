#pragma once
// An account view on a map.

#include <map>
#include <string>

#include "backend/account_view.h"

namespace muster::backend {

class FakeAccounts final : public AccountView {
public:
    struct Row {
        AccountFacts facts;
        std::vector<std::string> keys;
    };

    AccountFacts& add(const std::string& address, std::vector<std::string> keys) {
        Row row{{AccountAddress(address), AccountId("id" + std::to_string(rows.size())),
                 ServerName("sv1"), false, 0, 0},
                std::move(keys)};
        return (rows[address] = std::move(row)).facts;
    }

    Result<std::optional<AccountFacts>> find(std::string_view name) override {
        if (failing) return fail(ErrorKind::Unavailable, "not now");
        auto alias = aliases.find(std::string(name));
        const auto row = rows.find(alias == aliases.end() ? std::string(name) : alias->second);
        if (row == rows.end()) return std::nullopt;
        return row->second.facts;
    }
    Result<std::vector<std::string>> keys(const AccountId& id) override {
        for (const auto& [address, row] : rows)
            if (row.facts.id == id) return row.keys;
        return std::vector<std::string>();
    }
    Result<Listing<AccountFacts>> accounts(std::string_view from) override {
        Listing<AccountFacts> listing;  // one row a page
        const auto row = rows.lower_bound(std::string(from));
        if (row == rows.end()) return listing;
        listing.rows.push_back(row->second.facts);
        if (std::next(row) != rows.end()) listing.next = std::next(row)->first;
        return listing;
    }
    Result<std::optional<std::string>> shared(std::string_view to, std::string_view from) override {
        for (const auto& share : all_shares)
            if (share.to == to && share.from == from) return share.value;
        return std::nullopt;
    }
    Result<Listing<SharedMailbox>> shares(std::string_view to, std::string_view) override {
        Listing<SharedMailbox> listing;
        for (const auto& share : all_shares)
            if (to.empty() || share.to == to) listing.rows.push_back(share);
        return listing;
    }

    std::map<std::string, Row> rows;
    std::map<std::string, std::string> aliases;
    std::vector<SharedMailbox> all_shares;
    bool failing = false;
};

}  // namespace muster::backend
