#include "admin/dkim_folder.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "admin/files.h"
#include "base/base64.h"
#include "base/log.h"
#include "cluster/credential_seal.h"
#include "net/pki.h"

namespace muster::admin {
namespace {

namespace fs = std::filesystem;

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

}  // namespace

DkimFolder::DkimFolder(std::string path, std::string group)
    : path_(std::move(path)), group_(std::move(group)) {}

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

Result<> DkimFolder::prepare() const {
    if (auto made = make_folder(path_, 0700); !made) return made;
    return give(path_, group_.empty() ? 0700 : 0750);
}

Result<> DkimFolder::write(const std::string& name, const std::string& pem) const {
    const std::string place = path_ + '/' + name;
    const auto there = read_file(place);
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

Result<> DkimFolder::hold(const std::vector<cluster::DkimKey>& keys, const SealSecret& seal) {
    const std::scoped_lock lock(mutex_);
    if (keys.empty() && !exists(path_)) return {};
    if (auto ready = prepare(); !ready) return ready;
    std::set<std::string> wanted;
    for (const cluster::DkimKey& key : keys) {
        const std::string name = file_name(key);
        wanted.insert(name);
        const auto pem = cluster::opened_password(key.key, seal);
        if (!pem) {
            log::error("dkim-key-unusable", {{"key", name}, {"reason", pem.error().detail}});
        } else if (auto written = write(name, *pem); !written) {
            return written;
        }
    }
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(path_, error)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(kSuffix) && !wanted.contains(name)) fs::remove(entry.path(), error);
    }
    return {};
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
