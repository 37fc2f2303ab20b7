namespace muster {}  // namespace muster
