"""Which names a pickle may import without running anything of its writer's choosing.

Loading a pickle imports names and calls them with arguments of the writer's choice. There is no telling good
calls from bad ones by what they are called, so this is a list of what is harmless, never of what is not.
Everything on it builds a value from plain data; memory is the worst it can take.

Sources: `torch/_weights_only_unpickler.py`, what `torch.load(weights_only=True)` allows, without its types
that reserve memory by number alone; `numpy/_core/multiarray.py`, what arrays pickle to.
"""

from typing import Final

_TORCH_TYPES: Final = (
    *("float16", "float32", "float64", "bfloat16", "half", "float", "double", "complex64", "complex128"),
    *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "short", "int", "long", "bool"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "strided", "sparse_coo"),
    *("Size", "device", "Tensor"),
    *("FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "IntStorage"),
    *("ShortStorage", "CharStorage", "ByteStorage", "BoolStorage", "ComplexFloatStorage", "ComplexDoubleStorage"),
)
_REBUILDS: Final = (
    *("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_sparse_tensor"),
    *("_rebuild_qtensor", "_rebuild_meta_tensor_no_storage"),
)
_BUILTINS: Final = ("set", "frozenset", "complex", "slice")
_ARRAYS: Final = ("_reconstruct", "scalar")

HARMLESS: Final = frozenset(
    {
        ("collections", "OrderedDict"),
        ("collections", "Counter"),
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
        ("_codecs", "encode"),  # how protocol 2 writes bytes
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("torch.nn.parameter", "Parameter"),
        ("torch.serialization", "_get_layout"),
        ("torch.storage", "TypedStorage"),
        ("torch.storage", "UntypedStorage"),
        *((module, name) for module in ("builtins", "__builtin__") for name in _BUILTINS),
        *(("torch", name) for name in _TORCH_TYPES),
        *(("torch._utils", name) for name in _REBUILDS),
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in _ARRAYS),
        *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    }
)
