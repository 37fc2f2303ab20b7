#include "admin/cli.h"

int main(int argc, char** argv) { return muster::admin::run_cli(argc, argv); }
