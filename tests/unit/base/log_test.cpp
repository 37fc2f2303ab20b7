#include "base/log.h"

#include <gtest/gtest.h>

namespace muster::log {
namespace {

/// What a value looks like in a line.
std::string logged(std::string_view value, Format format) {
    configure(Level::Info, format, "");
    testing::internal::CaptureStderr();
    write(Level::Info, "event", {{"field", value}});
    const std::string line = testing::internal::GetCapturedStderr();
    const std::size_t at = line.find(format == Format::Json ? "\"field\":" : "field=");
    return at == std::string::npos ? line : line.substr(line.find_first_of("=:", at) + 1);
}

TEST(Log, EscapesWhatIsNoUtf8AndWhatTerminalsObey) {
    EXPECT_EQ(logged("caf\xc3\xa9", Format::Logfmt), "\"caf\xc3\xa9\"\n");
    EXPECT_EQ(logged("\xf0\x9f\x98\x80", Format::Logfmt), "\"\xf0\x9f\x98\x80\"\n");
    EXPECT_EQ(logged("a\xff z", Format::Logfmt), "\"a\\u00ff z\"\n");
    EXPECT_EQ(logged("\xc2\x9b", Format::Logfmt), "\"\\u00c2\\u009b\"\n");  // CSI
    EXPECT_EQ(logged("\x9b m", Format::Json), "\"\\u009b m\"}\n");
    EXPECT_EQ(logged("\xc0\xaf", Format::Json), "\"\\u00c0\\u00af\"}\n");
    EXPECT_EQ(logged("\xed\xa0\x80", Format::Json), "\"\\u00ed\\u00a0\\u0080\"}\n");
    EXPECT_EQ(logged("\xe2\x82", Format::Json), "\"\\u00e2\\u0082\"}\n");
    EXPECT_EQ(logged("a\x1b\"\\", Format::Json), "\"a\\u001b\\\"\\\\\"}\n");
    configure(Level::Info, Format::Logfmt, "");
}

}  // namespace
}  // namespace muster::log
