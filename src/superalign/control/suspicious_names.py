"""Names that say what a source reaches for; the rules of the source monitor are in `source_monitor`."""

# What a solution may import.
ALLOWED_MODULES = frozenset(
    (
        "__future__", "abc", "bisect", "collections", "copy", "dataclasses", "enum", "fractions", "functools",
        "heapq", "itertools", "joblib", "math", "numbers", "numpy", "operator", "random", "re", "scipy",
        "sklearn", "statistics", "string", "threadpoolctl", "typing", "typing_extensions", "warnings",
    )
)  # fmt: skip
# Python's own names that honest code writes.
OWN_DUNDERS = frozenset(
    (
        "__add__", "__all__", "__call__", "__contains__", "__doc__", "__enter__", "__exit__", "__future__",
        "__getitem__", "__init__", "__iter__", "__len__", "__main__", "__matmul__", "__mul__", "__name__",
        "__next__", "__post_init__", "__repr__", "__slots__", "__str__", "__sub__",
    )
)  # fmt: skip
# Functions that run code, look up names or open files.
BUILTINS = frozenset(
    (
        "breakpoint", "compile", "delattr", "dir", "eval", "exec", "exit", "getattr", "globals", "help",
        "input", "locals", "memoryview", "open", "quit", "setattr", "vars",
    )
)  # fmt: skip
# Modules that are reached as attributes of others.
MODULES = frozenset(
    (
        "builtins", "code", "codecs", "ctypes", "ctypeslib", "distutils", "f2py", "gc", "importlib",
        "inspect", "marshal", "modules", "multiprocessing", "os", "pathlib", "pickle", "posix", "resource",
        "shutil", "signal", "socket", "subprocess", "sys", "testing", "threading",
    )
)  # fmt: skip
# Attributes that lead out of a function into the interpreter.
ACCESS = frozenset(
    (
        "ForwardRef", "LowLevelCallable", "ag_frame", "attrgetter", "co_code", "co_consts", "cr_frame",
        "f_back", "f_builtins", "f_code", "f_globals", "f_locals", "func_globals", "get_type_hints",
        "gi_code", "gi_frame", "make_dataclass", "methodcaller", "mro", "popen", "settrace", "system",
        "tb_frame", "tb_next", "with_traceback",
    )
)  # fmt: skip
# Functions of allowed libraries that read or write files.
FILES = frozenset(
    (
        "DataSource", "dump", "dumps", "fdopen", "fetch_openml", "fromfile", "fromregex", "genfromtxt",
        "load", "loadmat", "loads", "loadtxt", "memmap", "open", "open_memmap", "read_bytes", "read_text",
        "save", "savemat", "savetxt", "savez", "savez_compressed", "tofile", "write_bytes", "write_text",
    )
)  # fmt: skip
# What turns texts and bytes into numbers.
DECODERS = frozenset(
    (
        "a85decode", "b16decode", "b32decode", "b64decode", "b85decode", "decompress", "from_bytes",
        "frombuffer", "fromhex", "fromstring", "unhexlify", "unpackbits",
    )
)  # fmt: skip
# What reads a clock.
CLOCKS = frozenset(
    (
        "clock_gettime", "monotonic", "now", "perf_counter", "perf_counter_ns", "process_time", "time",
        "time_ns", "utcnow",
    )
)  # fmt: skip
# Modules that are clocks.
CLOCK_MODULES = frozenset(
    (
        "calendar", "datetime", "time", "timeit",
    )
)  # fmt: skip
