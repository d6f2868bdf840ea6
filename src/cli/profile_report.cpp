#include "cli/profile_report.h"

#include <fmt/core.h>

#include <string>
#include <vector>

#include "cli/json_output.h"

namespace lamina::cli {
namespace {

using model::Operation;
using model::Profile;

struct Row {
  std::string_view name;
  double us_per_token = 0, share = 0;
  double gb_per_s = 0, gmac_per_s = 0;
  std::vector<double> thread_us;  ///< Per token; empty where no thread of the pool is meant.
};

double TotalUs(const Profile& profile) {
  return static_cast<double>(profile.steps_ns() + profile.sampling_ns()) / 1e3 /
         static_cast<double>(profile.n_rows());
}

Row OperationRow(const Profile& profile, Operation operation) {
  const double n_threads = static_cast<double>(profile.lanes().size());
  const double n_rows = static_cast<double>(profile.n_rows());
  Row row{model::OperationName(operation)};
  int64_t ns = 0, bytes = 0, macs = 0;
  for (const Profile::Lane& lane : profile.lanes()) {
    const Profile::Cell& cell = lane[operation];
    ns += cell.ns;
    bytes += cell.weight_bytes;
    macs += cell.macs;
    row.thread_us.push_back(static_cast<double>(cell.ns) / 1e3 / n_rows);
  }
  const double mean_ns = static_cast<double>(ns) / n_threads;
  row.us_per_token = mean_ns / 1e3 / n_rows;
  if (ns > 0) {
    row.gb_per_s = static_cast<double>(bytes) / mean_ns;
    row.gmac_per_s = static_cast<double>(macs) / mean_ns;
  }
  return row;
}

std::vector<Row> Rows(const Profile& profile) {
  std::vector<Row> rows;
  if (profile.n_rows() == 0) return rows;
  const double n_rows = static_cast<double>(profile.n_rows());
  Row rest{"start+end"};
  rest.thread_us.assign(profile.lanes().size(),
                        static_cast<double>(profile.steps_ns()) / 1e3 / n_rows);
  rest.us_per_token = static_cast<double>(profile.steps_ns()) / 1e3 / n_rows;
  for (int i = 0; i < model::kNumOperations; ++i) {
    Row row = OperationRow(profile, static_cast<Operation>(i));
    rest.us_per_token -= row.us_per_token;
    for (size_t t = 0; t < rest.thread_us.size(); ++t) rest.thread_us[t] -= row.thread_us[t];
    if (row.us_per_token > 0) rows.push_back(std::move(row));
  }
  rows.push_back(std::move(rest));
  rows.push_back({"sampling", static_cast<double>(profile.sampling_ns()) / 1e3 / n_rows});
  for (Row& row : rows) row.share = row.us_per_token / TotalUs(profile);
  return rows;
}

std::string OrDash(double value, int width) {
  return value > 0 ? fmt::format("{:{}.1f}", value, width) : fmt::format("{:>{}}", "-", width);
}

}  // namespace

void PrintProfile(const char* title, const Profile& profile) {
  if (profile.n_rows() == 0) return;
  fmt::print("\n{}: {:.1f} us/token over {} tokens\n", title, TotalUs(profile), profile.n_rows());
  fmt::print("{:<16} {:>9} {:>6} {:>8} {:>8}", "", "us/token", "share", "GB/s", "GMAC/s");
  for (size_t t = 0; t < profile.lanes().size(); ++t)
    fmt::print(" {:>9}", fmt::format("thread {}", t));
  fmt::print("\n");
  for (const Row& row : Rows(profile)) {
    fmt::print("{:<16} {:9.1f} {:5.1f}% {} {}", row.name, row.us_per_token, 100 * row.share,
               OrDash(row.gb_per_s, 8), OrDash(row.gmac_per_s, 8));
    for (const double us : row.thread_us) fmt::print(" {:9.1f}", us);
    fmt::print("\n");
  }
}

Json ProfileJson(const Profile& profile) {
  Json json;
  json["tokens"] = profile.n_rows();
  json["us_per_token"] = profile.n_rows() > 0 ? TotalUs(profile) : 0.0;
  json["operations"] = Json::array();
  for (const Row& row : Rows(profile)) {
    json["operations"].push_back({{"name", row.name},
                                  {"us_per_token", row.us_per_token},
                                  {"share", row.share},
                                  {"gb_per_s", row.gb_per_s},
                                  {"gmac_per_s", row.gmac_per_s},
                                  {"thread_us_per_token", row.thread_us}});
  }
  return json;
}

}  // namespace lamina::cli
