#include <unordered_map>

#include "cluster/account_import.h"
#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/json_fields.h"

namespace muster::cluster {
namespace {

constexpr std::uint64_t kProgressRows = 10'000;
constexpr std::size_t kBlock = 64 * 1024;

std::string joined(const std::vector<std::string>& words) {
    std::string result;
    for (const std::string& word : words) {
        if (!result.empty()) result += ' ';
        result += word;
    }
    return result;
}

void append_csv(std::string& out, std::string_view field) {
    if (field.find_first_of(",\"\r\n") == field.npos) {
        out += field;
        return;
    }
    out += '"';
    for (const char c : field) {
        if (c == '"') out += '"';
        out += c;
    }
    out += '"';
}

std::string number(std::uint64_t value) { return value == 0 ? "" : std::to_string(value); }

class Export {
public:
    Export(state::Store& store, const ByteWriter& output, const ExportOptions& options)
        : store_(store), output_(output), options_(options) {
        if (!options.domain.empty()) suffix_ = "@" + options.domain;
    }

    Result<std::uint64_t> run() {
        if (options_.format == AccountFormat::Csv) {
            out_ += "address,id,home,state,quota,epoch,aliases,to";
            out_ += options_.with_keys ? ",keys\r\n" : "\r\n";
        }
        if (auto read = read_aliases(); !read) return std::unexpected(read.error());
        const auto done = for_each_entry(
            store_, kAccountPrefix,
            [this](const state::Entry& entry) -> Result<bool> { return write_account(entry); });
        if (!done) return std::unexpected(done.error());
        if (auto flushed = flush(0); !flushed) return std::unexpected(flushed.error());
        if (options_.progress) options_.progress(count_);
        return count_;
    }

private:
    [[nodiscard]] bool wanted(std::string_view address) const { return address.ends_with(suffix_); }

    /// Aliases for one of our accounts go into its row; the others become lines of their own.
    Result<> read_aliases() {
        return for_each_entry(
            store_, kAliasPrefix, [this](const state::Entry& entry) -> Result<bool> {
                auto alias = decode_alias(split_key(entry.key).name, entry.value);
                if (!alias) return true;
                if (alias->to.size() == 1) {
                    const auto account = store_.get(account_key(alias->to[0]));
                    if (!account) return std::unexpected(account.error());
                    if (*account) {
                        aliases_[alias->to[0].text].push_back(alias->address.text);
                        return true;
                    }
                }
                if (wanted(alias->address.view())) write_alias(*alias);
                if (auto flushed = flush(kBlock); !flushed) {
                    return std::unexpected(flushed.error());
                }
                return true;
            });
    }

    void write_alias_csv(const Alias& alias) {
        std::vector<std::string> to;
        for (const AccountAddress& target : alias.to) to.push_back(target.text);
        append_csv(out_, alias.address.text);
        out_ += ",,,,,,,";
        append_csv(out_, joined(to));
        out_ += options_.with_keys ? ",\r\n" : "\r\n";
    }

    void write_alias(const Alias& alias) {
        if (options_.format == AccountFormat::Csv) return write_alias_csv(alias);
        nlohmann::json line{{"alias", alias.address.text}};
        for (const AccountAddress& target : alias.to) line["to"].push_back(target.text);
        out_ += to_text(line) + '\n';
    }

    Result<bool> write_account(const state::Entry& entry) {
        const std::string_view address = split_key(entry.key).name;
        if (!wanted(address)) return true;
        const auto account = decode_account(address, entry.value);
        if (!account) {
            return fail(ErrorKind::Corrupt, "the entry of " + std::string(address) + " is damaged");
        }
        auto keys = keys_of(*account);
        if (!keys) return std::unexpected(keys.error());
        const auto found = aliases_.find(account->address.text);
        static const std::vector<std::string> kNone;
        const auto& aliases = found == aliases_.end() ? kNone : found->second;
        if (options_.format == AccountFormat::Csv) {
            write_csv(*account, aliases, *keys);
        } else {
            write_json(*account, aliases, *keys);
        }
        if (++count_ % kProgressRows == 0 && options_.progress) options_.progress(count_);
        if (auto flushed = flush(kBlock); !flushed) return std::unexpected(flushed.error());
        return true;
    }

    Result<std::vector<std::string>> keys_of(const Account& account) {
        if (!options_.with_keys) return std::vector<std::string>{};
        const auto entry = store_.get(password_key(account.id));
        if (!entry) return std::unexpected(entry.error());
        if (!*entry) return std::vector<std::string>{};
        auto keys = decode_password_keys(account.id.text, (*entry)->value);
        if (!keys) return std::unexpected(keys.error());
        return std::move(keys->keys);
    }

    void write_csv(const Account& account, const std::vector<std::string>& aliases,
                   const std::vector<std::string>& keys) {
        append_csv(out_, account.address.text);
        for (const std::string& field :
             {account.id.text, account.home.text, std::string(account.disabled ? "disabled" : ""),
              number(account.quota), number(account.epoch), joined(aliases), std::string()}) {
            out_ += ',';
            append_csv(out_, field);
        }
        if (options_.with_keys) {
            out_ += ',';
            append_csv(out_, joined(keys));
        }
        out_ += "\r\n";
    }

    void write_json(const Account& account, const std::vector<std::string>& aliases,
                    const std::vector<std::string>& keys) {
        nlohmann::json line{{"address", account.address.text}, {"id", account.id.text}};
        put_text(line, "home", account.home.text);
        if (account.disabled) line["state"] = "disabled";
        put_number(line, "quota", account.quota, 0);
        put_number(line, "epoch", account.epoch, 0);
        put_list(line, "aliases", aliases);
        put_list(line, "keys", keys);
        out_ += to_text(line) + '\n';
    }

    Result<> flush(std::size_t threshold) {
        if (out_.size() <= threshold) return {};
        auto written = output_(out_);
        out_.clear();
        return written;
    }

    state::Store& store_;
    const ByteWriter& output_;
    const ExportOptions& options_;
    std::string suffix_;
    std::string out_;
    std::unordered_map<std::string, std::vector<std::string>> aliases_;
    std::uint64_t count_ = 0;
};

}  // namespace

Result<std::uint64_t> export_accounts(state::Store& directory, const ByteWriter& output,
                                      const ExportOptions& options) {
    return Export(directory, output, options).run();
}

}  // namespace muster::cluster
