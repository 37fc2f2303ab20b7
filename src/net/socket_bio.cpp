#include "net/socket_bio.h"

#include <openssl/bio.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace muster::net {
namespace {

thread_local bool more_follows = false;

int write_to_socket(BIO* bio, const char* data, int size) {
    const auto fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
    const int flags = MSG_NOSIGNAL | (more_follows ? MSG_MORE : 0);
    const ssize_t sent = send(fd, data, static_cast<std::size_t>(size), flags);
    BIO_clear_retry_flags(bio);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return static_cast<int>(sent);
}

long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* writing_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
        MUSTER_CHECK(made != nullptr);
        BIO_meth_set_write(made, write_to_socket);
        BIO_meth_set_ctrl(made, control);
        return made;
    }();
    return method;
}

}  // namespace

bio_st* writing_bio(int fd) {
    BIO* bio = BIO_new(writing_method());
    MUSTER_CHECK(bio != nullptr);
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
    BIO_set_init(bio, 1);
    return bio;
}

MoreFollows::MoreFollows(bool more) { more_follows = more; }
MoreFollows::~MoreFollows() { more_follows = false; }

}  // namespace muster::net
