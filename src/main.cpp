#include <cstring>

#include "admin/serve.h"

int main(int argc, char** argv) {
    if (argc == 4 && std::strcmp(argv[1], "serve") == 0) return muster::admin::serve(argv[3]);
    return 2;
}
