#include <cstring>
#include <filesystem>

#include "admin/demo.h"
#include "admin/serve.h"

int main(int argc, char** argv) {
    if (argc == 4 && std::strcmp(argv[1], "serve") == 0) return muster::admin::serve(argv[3]);
    if (argc >= 2 && std::strcmp(argv[1], "demo") == 0) {
        muster::admin::DemoOptions options{
            .program = std::filesystem::read_symlink("/proc/self/exe").string(),
            .dir = "",
            .detach = false,
            .stop = false};
        for (int i = 2; i < argc; ++i) {
            if (std::strcmp(argv[i], "--detach") == 0) options.detach = true;
            if (std::strcmp(argv[i], "--stop") == 0) options.stop = true;
            if (std::strcmp(argv[i], "--dir") == 0) options.dir = argv[++i];
        }
        return muster::admin::demo(options);
    }
    return 2;
}
