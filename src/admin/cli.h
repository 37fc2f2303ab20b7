#pragma once
// The command line: `muster VERB …`. All that changes or shows a running cluster goes through the
// API; only init, join, restore, check and serve work on this machine's files.

namespace muster::admin {

/// Exit codes: 0 done, 1 refused or failed (the reason stands on standard error), 2 wrong usage.
int run_cli(int argc, char** argv);

}  // namespace muster::admin
