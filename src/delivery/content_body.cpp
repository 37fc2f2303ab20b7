#include "delivery/content_body.h"

namespace muster::delivery {

Task<Result<std::string_view>> ContentBody::next() { co_return reader_.next(); }

}  // namespace muster::delivery
