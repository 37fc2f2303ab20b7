#pragma once
// Lines about things that have a log level of their own, such as a server of the cluster.

#include "base/log.h"

namespace muster::log {

/// As write(), whatever the node's level is: the caller has decided.
void write_line(Level level, std::string_view event, std::initializer_list<Field> fields);

}  // namespace muster::log
