// Which cores a process may use: affinity, and quotas of cgroups under a made-up root.
#include "base/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/thread_pool.h"

namespace lamina {
namespace {

class Root {
 public:
  Root() {
    std::string name = testing::TempDir() + "/cores_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Root() { std::filesystem::remove_all(path_); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  const std::string& path() const { return path_; }
  void Write(const std::string& file, const std::string& content) const {
    const std::filesystem::path full = path_ + "/" + file;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << content;
  }

 private:
  std::string path_;
};

TEST(CgroupCpus, AreUnlimitedWithoutAQuota) {
  const Root root;
  EXPECT_FALSE(CgroupCpus(root.path()));
  root.Write("proc/self/cgroup", "0::/user.slice\n");
  EXPECT_FALSE(CgroupCpus(root.path()));
  root.Write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  EXPECT_FALSE(CgroupCpus(root.path()));
  root.Write("sys/fs/cgroup/user.slice/cpu.max", "nonsense\n");
  EXPECT_FALSE(CgroupCpus(root.path()));
}

TEST(CgroupCpus, AreTheLeastOfAGroupAndItsAncestors) {
  const Root root;
  root.Write("proc/self/cgroup", "0::/a/b\n");
  root.Write("sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
  EXPECT_EQ(CgroupCpus(root.path()), 4.0);
  root.Write("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(CgroupCpus(root.path()), 1.5);
  root.Write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(CgroupCpus(root.path()), 0.5);
}

TEST(CgroupCpus, OfAContainerThatSeesItsHostsPathAreTheMounts) {
  const Root root;
  root.Write("proc/self/cgroup", "0::/system.slice/docker-1234.scope\n");
  root.Write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(CgroupCpus(root.path()), 2.0);
}

TEST(CgroupCpus, OfVersionOne) {
  const Root root;
  root.Write("proc/self/cgroup", "5:memory:/job\n4:cpuacct,cpu:/job\n3:cpuset:/\n");
  root.Write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
  root.Write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(CgroupCpus(root.path()));
  root.Write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "250000\n");
  EXPECT_EQ(CgroupCpus(root.path()), 2.5);
  root.Write("sys/fs/cgroup/cpuset/cpu.cfs_quota_us", "100000\n");  // Not the CPU's controller.
  root.Write("sys/fs/cgroup/cpuset/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCpus(root.path()), 2.5);
}

// In a thread of its own, whose mask is narrowed to `cpus`.
int CoresOn(const std::vector<int>& cpus, const std::string& root) {
  int n_cores = 0;
  std::thread([&] {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    for (int cpu : cpus) CPU_SET(cpu, &mask);
    ASSERT_EQ(sched_setaffinity(0, sizeof mask, &mask), 0);
    n_cores = UsableCores(root);
  }).join();
  return n_cores;
}

std::vector<int> OwnCpus() {
  cpu_set_t mask;
  EXPECT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cpus.push_back(cpu);
  }
  return cpus;
}

TEST(UsableCores, FollowTheAffinityMask) {
  const Root root;  // Without topology every CPU is a core.
  const std::vector<int> cpus = OwnCpus();
  EXPECT_EQ(CoresOn({cpus.back()}, root.path()), 1);
  EXPECT_EQ(CoresOn({cpus.back()}, ""), 1);
  EXPECT_EQ(CoresOn(cpus, root.path()), static_cast<int>(cpus.size()));
  EXPECT_EQ(UsableCores(), DefaultThreadCount());
}

TEST(UsableCores, CountTwoHyperthreadsOnce) {
  const std::vector<int> cpus = OwnCpus();
  if (cpus.size() < 2) GTEST_SKIP() << "one CPU";
  const Root root;
  for (int cpu : cpus) {
    const std::string topology = "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    root.Write(topology + "physical_package_id", "0\n");
    root.Write(topology + "core_id", "7\n");
  }
  EXPECT_EQ(UsableCores(root.path()), 1);
  root.Write("sys/devices/system/cpu/cpu" + std::to_string(cpus[0]) + "/topology/core_id", "8\n");
  EXPECT_EQ(UsableCores(root.path()), 2);
}

TEST(UsableCores, FollowTheQuota) {
  const int n_cpus = static_cast<int>(OwnCpus().size());
  const Root root;
  root.Write("proc/self/cgroup", "0::/\n");
  for (const auto& [quota, n_cores] : {std::pair{"10000", 1},
                                       {"100000", 1},
                                       {"140000", 1},
                                       {"160000", 2},
                                       {"200000", 2},
                                       {"100000000", n_cpus}}) {
    root.Write("sys/fs/cgroup/cpu.max", std::string(quota) + " 100000\n");
    EXPECT_EQ(UsableCores(root.path()), std::min(n_cores, n_cpus)) << quota;
  }
}

}  // namespace
}  // namespace lamina
