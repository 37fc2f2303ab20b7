#include "admin/dkim_folder.h"

#include <grp.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "admin/files.h"
#include "base/base64.h"
#include "cluster/credential_seal.h"
#include "net/pki.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

constexpr std::string_view kSuffix = ".key";
constexpr int kSmallestRsa = 1024;
constexpr std::size_t kLongestPiece = 255;

std::unexpected<Error> io_error(const std::string& what) {
    return fail(ErrorKind::Io, what + ": " + std::strerror(errno));
}

Result<gid_t> group_id(const std::string& name) {
    std::array<char, 16384> buffer{};
    group entry{};
    group* found = nullptr;
    ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) {
        return fail(ErrorKind::NotFound, "mail.dkim_group: there is no group " + name);
    }
    return found->gr_gid;
}

std::string file_name(const cluster::DkimKey& key) {
    return key.domain.text + '.' + key.selector + std::string(kSuffix);
}

/// Whatever a list says: nothing but such a file is ever removed.
bool is_key_name(const std::string& name) {
    return name.ends_with(kSuffix) && !name.contains('/') && !name.contains('\0');
}

}  // namespace

DkimFolder::DkimFolder(std::string path, std::string group)
    : path_(std::move(path)), group_(std::move(group)), list_(path_ + "/.muster-keys") {}

/// A folder that gives its group to what is made in it (setgid) is left so: then this process need
/// not be in the group.
Result<> DkimFolder::give(const std::string& path, unsigned mode) const {
    struct stat facts{};
    if (::stat(path.c_str(), &facts) != 0) return io_error(path);
    if (!group_.empty()) {
        const auto id = group_id(group_);
        if (!id) return std::unexpected(id.error());
        if (facts.st_gid != *id && ::chown(path.c_str(), static_cast<uid_t>(-1), *id) != 0) {
            return fail(ErrorKind::Refused, path + " cannot be given to group " + group_ +
                                                ": add Muster's user to it and restart");
        }
    }
    constexpr unsigned kPermissions = 0777;
    if ((facts.st_mode & kPermissions) == mode) return {};
    if (::chmod(path.c_str(), mode | (facts.st_mode & S_ISGID)) != 0) return io_error(path);
    return {};
}

Result<DkimFolder::Ours> DkimFolder::read_list() const {
    Ours ours;
    if (!exists(list_)) return ours;
    const auto text = read_file(list_);
    if (!text) return std::unexpected(text.error());
    const auto list = state::parse_json(*text);
    const auto files = list.is_object() ? list.find("files") : list.end();
    if (files == list.end() || !files->is_array()) {
        return fail(ErrorKind::Corrupt, list_ + " is damaged: remove it, and what is in " + path_ +
                                            " of keys that are not in the state");
    }
    ours.folder = list.contains("folder") && list["folder"] == true;
    for (const auto& file : *files) {
        if (file.is_string() && is_key_name(file)) ours.files.insert(file.get<std::string>());
    }
    return ours;
}

Result<> DkimFolder::write_list(const Ours& ours) const {
    const nlohmann::json list{{"folder", ours.folder}, {"files", ours.files}};
    return write_file(list_, state::json_line(list) + "\n", 0600);
}

/// A folder that was there keeps its owner, its group and its mode.
Result<> DkimFolder::prepare(Ours& ours) const {
    if (!exists(path_)) {
        if (auto made = make_folder(path_, 0700); !made) return made;
        ours.folder = true;
        if (auto kept = write_list(ours); !kept) return kept;
    }
    return ours.folder ? give(path_, group_.empty() ? 0700 : 0750) : Result<>();
}

Result<> DkimFolder::write(const std::string& name, const std::string& pem, bool is_ours) const {
    const std::string place = path_ + '/' + name;
    const auto there = read_file(place);
    if (!is_ours && exists(place)) {
        if (there && *there == pem) return {};
        return fail(ErrorKind::Conflict,
                    place + " is there and was not written by Muster: move it away");
    }
    if (there && *there == pem) return give(place, group_.empty() ? 0600 : 0640);
    const std::string beside = place + ".tmp";
    if (auto written = write_file(beside, pem, 0600); !written) return written;
    if (auto given = give(beside, group_.empty() ? 0600 : 0640); !given) {
        ::unlink(beside.c_str());
        return given;
    }
    if (::rename(beside.c_str(), place.c_str()) != 0) return io_error(place);
    return {};
}

Result<> DkimFolder::hold(const std::vector<cluster::DkimKey>& keys, const SealSecret& seal,
                          bool keeps_others) {
    auto ours = read_list();
    if (!ours) return std::unexpected(ours.error());
    if (keys.empty() && ours->files.empty()) return {};
    if (auto ready = prepare(*ours); !ready) return ready;
    const std::set<std::string> before = ours->files;
    std::set<std::string> wanted;
    for (const cluster::DkimKey& key : keys) {
        const std::string name = file_name(key);
        wanted.insert(name);
        if (!exists(path_ + '/' + name)) ours->files.insert(name);
    }
    // Listed before it is written: a crash in between leaves no key behind for ever.
    if (ours->files != before) {
        if (auto kept = write_list(*ours); !kept) return kept;
    }
    Result<> all;
    for (const cluster::DkimKey& key : keys) {
        const std::string name = file_name(key);
        const auto pem = cluster::opened_password(key.key, seal);
        auto written = pem ? write(name, *pem, ours->files.contains(name))
                           : fail(pem.error().kind, name + ": " + pem.error().detail);
        if (!written && all) all = std::move(written);
    }
    if (keeps_others) return all;
    if (auto removed = remove_others(*ours, wanted); !removed && all) all = std::move(removed);
    return all;
}

Result<> DkimFolder::remove_others(Ours& ours, const std::set<std::string>& wanted) const {
    Result<> all;
    const auto listed = ours.files.size();
    std::erase_if(ours.files, [&](const std::string& name) {
        if (wanted.contains(name)) return false;
        const std::string place = path_ + '/' + name;
        if (::unlink(place.c_str()) == 0 || errno == ENOENT) return true;
        all = io_error(place);
        return false;
    });
    if (ours.files.size() != listed) {
        if (auto kept = write_list(ours); !kept && all) all = std::move(kept);
    }
    return all;
}

std::string dns_line(const cluster::DkimKey& key) {
    std::string line = key.selector + "._domainkey." + key.domain.text + ". IN TXT (";
    std::string_view rest = key.record;
    while (!rest.empty()) {
        line += " \"" + std::string(rest.substr(0, kLongestPiece)) + '"';
        rest.remove_prefix(std::min(kLongestPiece, rest.size()));
    }
    return line + " )";
}

Result<std::string> dkim_record(std::string_view pem) {
    const auto facts = net::read_signing_key(pem);
    if (!facts) return std::unexpected(facts.error());
    if (facts->algorithm == net::SigningAlgorithm::Rsa && facts->bits < kSmallestRsa) {
        return fail(ErrorKind::Syntax, "an RSA key of fewer than 1,024 bits is refused everywhere");
    }
    const bool is_rsa = facts->algorithm == net::SigningAlgorithm::Rsa;
    return std::string("v=DKIM1; k=") + (is_rsa ? "rsa" : "ed25519") +
           "; p=" + base64_encode(facts->public_key);
}

}  // namespace muster::admin
