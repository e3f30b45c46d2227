"""libpyrometer as others use it: installed, found by pkg-config, from C, C++ and an FFI, and its manual pages."""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BIN, TESTS, SharedDaemonCase, TestCase, new_run, run_program

STEPS = 20

# What C11 and C++11 both read.
JOB = r"""
#include <pyrometer.h>
#include <stdio.h>

int main(int argc, char **argv) {
    struct pyrometer_layer layer;
    memset(&layer, 0, sizeof layer);
    layer.name = "fc1";
    layer.n = 3;
    struct pyrometer_config config;
    memset(&config, 0, sizeof config);
    config.server = argc > 2 ? argv[1] : NULL;
    config.run = argc > 2 ? argv[2] : NULL;
    config.layers = &layer;
    config.layer_count = 1;
    config.spool = "";
    struct pyrometer *p = pyrometer_open(&config);
    float w[3] = {1, 2, 3};
    struct pyrometer_stats stats;
    pyrometer_stats(&stats, 3, w, NULL, NULL, NULL);
    for (int64_t k = 0; k < 20; k++) {
        struct pyrometer_step step;
        memset(&step, 0, sizeof step);
        step.step = k;
        step.loss = 0.5;
        step.stats = &stats;
        pyrometer_step(p, &step);
    }
    int status = pyrometer_finish(p, "completed", 30000);
    char why[200];
    pyrometer_last_error(p, why, sizeof why);
    if (status != 0 || pyrometer_is_measured(stats.g_var)) {
        fprintf(stderr, "%d %s\n", status, why);
        return 1;
    }
    pyrometer_close(p);
    return 0;
}
"""


class Installed(unittest.TestCase):
    """`make install` into an empty root, once for all."""

    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="pyro-root-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        if BIN != TESTS.parent / "build":
            raise unittest.SkipTest("it is installed from build/")
        cls.make("install")
        super().setUpClass()

    @classmethod
    def make(cls, goal):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        subprocess.run(["make", "--no-print-directory", "-C", TESTS.parent, goal, f"DESTDIR={cls.root}", "PREFIX=/usr"],
                       check=True, capture_output=True, env=environment)

    def flags(self, *more):
        env = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(self.root),
               "PKG_CONFIG_LIBDIR": str(self.root / "usr/lib/pkgconfig"), "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
               "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1"}
        return subprocess.run(["pkg-config", "--cflags", "--libs", *more, "pyrometer"], env=env, check=True,
                              capture_output=True, text=True).stdout.split()


class Programs(Installed, SharedDaemonCase):
    def build_and_run(self, compiler, suffix, *flags):
        if not shutil.which(compiler):
            self.skipTest(f"there is no {compiler}")
        source = self.root / f"job{suffix}"
        source.write_text(JOB)
        program = self.root / "job"
        done = subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-Wpedantic", source, "-o", program,
                               *self.flags(*flags)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        run = new_run("library")
        env = {**os.environ, "LD_LIBRARY_PATH": str(self.root / "usr/lib")}
        done = subprocess.run([program, "%s:%d" % self.shared.ingest[0], run], env=env, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        steps = self.shared.steps(run)
        self.assertEqual([m["step"] for m in steps], list(range(STEPS)))
        self.assertEqual(steps[0]["stats"]["w_mean"], [2.0])

    def test_c(self):
        self.build_and_run("gcc", ".c")

    def test_c_with_the_archive(self):
        (self.root / "usr/lib/libpyrometer.so").unlink()  # the linker takes the archive then
        self.addCleanup((self.root / "usr/lib/libpyrometer.so").symlink_to, "libpyrometer.so.0")
        self.build_and_run("gcc", ".c", "--static")

    def test_cpp(self):
        self.build_and_run("g++", ".cpp")


class Layer(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("n", ctypes.c_uint64), ("kind", ctypes.c_char_p),
                ("activation", ctypes.c_char_p), ("init_distribution", ctypes.c_char_p), ("init", ctypes.c_double * 2)]


class Optimizer(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("lr", ctypes.c_double), ("momentum", ctypes.c_double),
                ("betas", ctypes.c_double * 2), ("weight_decay", ctypes.c_double), ("nesterov", ctypes.c_bool)]


class Config(ctypes.Structure):
    _fields_ = [("server", ctypes.c_char_p), ("token", ctypes.c_char_p), ("token_file", ctypes.c_char_p),
                ("run", ctypes.c_char_p), ("project", ctypes.c_char_p), ("loss", ctypes.c_char_p),
                ("optimizer", Optimizer), ("batch_size", ctypes.c_uint64), ("dataset_size", ctypes.c_uint64),
                ("tags", ctypes.c_void_p), ("tag_count", ctypes.c_size_t), ("layers", ctypes.POINTER(Layer)),
                ("layer_count", ctypes.c_size_t), ("rewind", ctypes.c_bool), ("rewind_step", ctypes.c_int64),
                ("queue_bytes", ctypes.c_size_t), ("spool", ctypes.c_char_p), ("spool_bytes", ctypes.c_uint64),
                ("on_alert", ctypes.c_void_p), ("alert_context", ctypes.c_void_p), ("lines_only", ctypes.c_bool)]


class Step(ctypes.Structure):
    _fields_ = [("step", ctypes.c_int64), ("time", ctypes.c_double), ("loss", ctypes.c_double), ("lr", ctypes.c_double),
                ("batch_size", ctypes.c_uint32), ("loss_after", ctypes.c_void_p), ("val_loss", ctypes.c_void_p),
                ("stats", ctypes.c_void_p), ("columns", ctypes.c_void_p), ("column_count", ctypes.c_size_t),
                ("scalars", ctypes.c_void_p), ("scalar_count", ctypes.c_size_t)]


@unittest.skipIf(BIN.name == "asan", "Python would have to be started under the sanitizer")
class Foreign(SharedDaemonCase):
    def test_ctypes(self):
        library = ctypes.CDLL(str(BIN / "libpyrometer.so"))
        library.pyrometer_open.restype = ctypes.c_void_p
        layers = (Layer * 1)(Layer(name=b"fc1", n=10, activation=b"relu"))
        run = new_run("ffi")
        config = Config(server=b"%s:%d" % (self.shared.ingest[0][0].encode(), self.shared.ingest[0][1]), run=run.encode(),
                        loss=b"mse", optimizer=Optimizer(name=b"sgd", lr=0.5), layers=layers, layer_count=1, spool=b"")
        handle = ctypes.c_void_p(library.pyrometer_open(ctypes.byref(config)))
        self.assertTrue(handle)
        stats = (ctypes.c_double * 11)(*range(11))
        for number in range(STEPS):
            step = Step(step=number, loss=0.25, lr=0.5, stats=ctypes.addressof(stats))
            self.assertEqual(library.pyrometer_step(handle, ctypes.byref(step)), 0)
        self.assertEqual(library.pyrometer_finish(handle, b"completed", 30000), 0)
        library.pyrometer_close(handle)
        steps = self.shared.steps(run)
        self.assertEqual([(m["step"], m["loss"]) for m in steps], [(number, 0.25) for number in range(STEPS)])
        self.assertEqual(steps[0]["stats"]["gu_prev"], [10.0])
        found = self.shared.run(run)
        self.assertEqual((found["loss"], found["layers"][0]["activation"]), (0.25, "relu"))


class ManualPages(Installed, TestCase):
    def test_every_call_has_one_without_a_warning(self):
        header = (TESTS.parent / "clients/c/pyrometer.h").read_text()
        calls = {word.split("(")[0].lstrip("*") for line in header.splitlines() if line.startswith("PYROMETER_API")
                 for word in line.split() if "(" in word}
        pages = self.root / "usr/share/man/man3"
        self.assertLessEqual({f"{call}.3" for call in calls}, {page.name for page in pages.iterdir()})
        if not shutil.which("groff"):
            self.skipTest("there is no groff")
        for page in pages.parent.glob("man*/*"):
            done = subprocess.run(["groff", "-ww", "-z", "-man", "-Tutf8", page.relative_to(pages.parent)], cwd=pages.parent,
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), page.name)

    def test_those_of_the_programs_name_every_option_and_command(self):
        for page, program, more in (("man1/pyrometer.1", "pyrometer", []), ("man8/pyrometerd.8", "pyrometerd", None)):
            text = (self.root / "usr/share/man" / page).read_text().replace("\\-", "-")
            says = run_program(program, "--help").stdout
            commands = re.findall(r"^  ([a-z]+)\b", says.split("Options")[0], re.M) if more is not None else []
            for command in commands:
                self.assertRegex(text, rf"\n(\.B[IR]? |\\fB){command}\b")
            for option in re.findall(r"--[a-z-]+", says + "".join(run_program(program, c, "--help").stdout for c in commands)):
                self.assertIn(option, text, page)


class Uninstall(Installed, TestCase):
    def test_nothing_stays(self):
        self.assertTrue((self.root / "usr/bin/pyrometerd").exists())
        self.make("uninstall")
        self.assertEqual([path for path in self.root.rglob("*") if not path.is_dir()], [])


if __name__ == "__main__":
    unittest.main()
