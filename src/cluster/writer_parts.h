#pragma once
// Parts of DirectoryWriter that its .cpp files share.

#include "cluster/directory_writer.h"

namespace muster::cluster {

struct DirectoryWriter::Found {
    Account account;
    Revision revision = 0;
};

struct DirectoryWriter::Placement {
    AccountAddress address;
    DomainName domain;
    Revision domain_revision = 0;
    ServerName home;
};

}  // namespace muster::cluster
