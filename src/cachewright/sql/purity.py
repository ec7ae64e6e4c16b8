"""Which expressions give the same result for the same rows, wherever and whenever they run.

A list of what is allowed: whatever is not on it (a function of the user's own, a clock, a setting of the session, a
construct that is new in the parser) is a reason not to cache. What must not be here: tables, predicates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlglot import exp

from cachewright.sql.relations import Catalogue

_SYNTAX = """
    Select From Table TableAlias Identifier Column Alias Aliases Star Where Group Having Order Ordered Limit Offset Fetch
    Join Union Intersect Except SetOperation Subquery CTE With Values Tuple Paren Lateral Distinct Window WindowSpec
    Filter WithinGroup Case If Literal Boolean Null Placeholder Interval Cast TryCast DataType DataTypeParam Collate
    AtTimeZone Var In Between Exists Any All Not Neg And Or Xor EQ NEQ GT GTE LT LTE Is IsNull NullSafeEQ NullSafeNEQ Like
    ILike SimilarTo Glob RegexpLike RegexpILike Escape Add Sub Mul Div IntDiv Mod Pow DPipe BitwiseAnd BitwiseOr BitwiseXor
    BitwiseNot BitwiseLeftShift BitwiseRightShift Binary Array Bracket Slice Cube Rollup GroupingSets HexString
    BitString ByteString National UnicodeString RawString Hint IndexTableHint WithTableHint WindowSpec Ignorenulls IgnoreNulls
    RespectNulls JSONPath JSONPathRoot JSONPathKey JSONPathSubscript JSONKeyValue JSONExtract JSONExtractScalar JSONBExtract
    JSONBExtractScalar JSONBContains ArrayContainsAll ArrayContainedBy ArrayOverlaps JSONArrayContains Operator Distance
    ColumnDef Kwarg PropertyEQ Qualify Materialized NonMaterialized SortArray Pivot WithOrdinality Collation
    UserDefinedFunction
"""
_FUNCTIONS = """
    Abs Acos Acosh AnyValue ArgMax ArgMin ArrayAgg ArrayAppend ArrayConcat ArrayContains ArrayPosition ArrayPrepend
    ArrayRemove ArraySize ArrayToString Ascii Asin Asinh Atan Atan2 Atanh Avg BitLength BitwiseAndAgg BitwiseOrAgg
    BitwiseXorAgg ByteLength Cbrt Ceil Chr Coalesce Concat ConcatWs Corr Cos Cosh Cot Count CountIf CovarPop CovarSamp
    CumeDist DateAdd DateBin DateDiff DateFromParts DateSub DateTrunc Day DayOfMonth DayOfWeek DayOfYear Degrees
    DenseRank Exp Explode ExplodingGenerateSeries Extract Factorial First FirstValue Floor Format GenerateSeries
    GenerateDateArray GenerateTimestampArray Greatest
    GroupConcat Grouping GroupingId Hex Hour Initcap JSONArray JSONArrayAgg JSONBObjectAgg JSONExists JSONFormat JSONKeys
    JSONObject JSONObjectAgg JSONType JustifyDays JustifyHours JustifyInterval Lag Last LastDay LastValue Lead Least Left
    Length Levenshtein Ln Log LogicalAnd LogicalOr Lower LowerHex MD5 MD5Digest Max Median Min Minute Mode Month
    NthValue Ntile Nullif Nvl2 Overlay Pad PercentRank PercentileCont PercentileDisc Pi Quarter Radians Rank
    RegexpCount RegexpExtract RegexpExtractAll RegexpInstr RegexpReplace RegexpSplit RegexpSubstr RegrCount Repeat Replace
    Reverse Right Round RowNumber SHA SHA2 Second Sign Sin Sinh Space SplitPart Sqrt StartsWith Stddev StddevPop StddevSamp
    StrPosition StringToArray Substring SubstringIndex Sum Tan Tanh TimestampTrunc ToBase64 Base64Encode ToChar ToNumber
    Translate Trim Trunc Typeof Unhex Unicode Unnest Upper Variance VariancePop Week WeekOfYear WidthBucket Year
    DatetimeAdd DatetimeSub TimestampAdd TimestampSub TimestampDiff TimestampFromParts MakeInterval JSONBExists
    JSONStripNulls
"""
_BY_NAME = """
    array_length array_lower array_upper array_ndims array_dims array_replace array_positions array_cat cardinality
    bool_and bool_or every json_agg jsonb_agg json_object_agg jsonb_object_agg json_build_object jsonb_build_object
    json_build_array jsonb_build_array jsonb_array_length json_array_length jsonb_array_elements json_array_elements
    jsonb_array_elements_text json_array_elements_text jsonb_each json_each jsonb_each_text json_each_text jsonb_typeof
    json_typeof jsonb_extract_path json_extract_path jsonb_extract_path_text json_extract_path_text jsonb_set jsonb_insert
    jsonb_strip_nulls jsonb_object_keys json_object_keys jsonb_path_query jsonb_path_exists to_json to_jsonb row_to_json
    string_agg format quote_literal quote_ident quote_nullable btrim ltrim rtrim lpad rpad strpos position octet_length
    char_length character_length bit_length concat concat_ws initcap md5 sha256 sha512 encode decode
    regexp_match regexp_matches regexp_split_to_table regexp_split_to_array unnest generate_series generate_subscripts
    isfinite to_timestamp make_date make_time make_timestamp make_interval date_part date_bin div gcd lcm
    num_nonnulls num_nulls row percentile_cont percentile_disc mode regr_slope regr_intercept regr_r2 covar_pop covar_samp
    lower_inc upper_inc isempty int4range int8range numrange daterange tsrange to_tsvector to_tsquery plainto_tsquery
    ts_rank ts_headline width_bucket similarity unaccent
    total ifnull iif instr printf quote char hex zeroblob likelihood likely unlikely nullif json json_array json_object
    json_extract json_type json_valid json_group_array json_group_object json_tree json_quote json_remove json_set
    json_insert json_replace json_patch glob like typeof ltrim rtrim round abs unicode substr substring group_concat
    field find_in_set strcmp elt lcase ucase mid locate insert truncate bit_count json_contains json_unquote
    json_search json_depth json_length json_merge_patch json_pretty json_arrayagg json_objectagg crc32 inet_aton
    inet_ntoa conv bin oct sec_to_time time_to_sec to_days from_days makedate maketime period_add period_diff
    yearweek weekday any_value subdate adddate hour minute second
"""
_CLOCKS_OF_SQLITE = frozenset(
    {"date", "time", "datetime", "julianday", "strftime", "unixepoch", "timediff"}
)
_WRITES_NOTHING = """
    now clock_timestamp statement_timestamp transaction_timestamp timeofday age random rand uuid gen_random_uuid
    uuid_generate_v4 uuidv4 uuidv7 random_normal current_setting pg_sleep sleep pg_backend_pid txid_current
    pg_current_xact_id pg_my_temp_schema current_schemas current_schema current_user session_user version user database
    schema connection_id last_insert_id row_count found_rows currval lastval nextval pg_typeof pg_get_viewdef
    pg_get_serial_sequence pg_table_is_visible format_type pg_get_expr obj_description col_description
    pg_relation_size pg_total_relation_size pg_size_pretty to_regclass has_table_privilege pg_advisory_lock
    pg_advisory_xact_lock pg_try_advisory_lock pg_try_advisory_xact_lock pg_advisory_unlock pg_advisory_unlock_all
    pg_is_in_recovery inet_client_addr inet_server_addr pg_encoding_to_char pg_get_constraintdef pg_get_indexdef
    pg_get_userbyid sysdate curdate curtime utc_date utc_time utc_timestamp unix_timestamp localtime localtimestamp
    get_lock release_lock is_free_lock changes total_changes last_insert_rowid randomblob sqlite_version
    pg_export_snapshot pg_notify pg_stat_get_activity shobj_description array_agg pg_catalog
"""


def _classes(names: str) -> frozenset[type]:
    found = (getattr(exp, name, None) for name in names.split())
    return frozenset(each for each in found if isinstance(each, type))


PURE_NODES = _classes(_SYNTAX) | _classes(_FUNCTIONS)
PURE_NAMES = frozenset(_BY_NAME.split())
HARMLESS_NAMES = frozenset(_WRITES_NOTHING.split()) | PURE_NAMES
_HARMLESS = _classes(
    """CurrentTimestamp CurrentDate CurrentTime CurrentDatetime CurrentUser CurrentSchema CurrentSchemas CurrentRole
    CurrentDatabase CurrentCatalog SessionUser Localtime Localtimestamp Rand Randn Uuid UtcDate UtcTime UtcTimestamp
    NextValueFor Date Time Datetime Timestamp TimeToStr StrToTime TsOrDsToTimestamp TsOrDsToDate UnixToTime TimeToUnix
    StrToDate ToDays CurrentVersion Cast TryCast And Or Case If Exists Xor CastToStrType"""
)
_DATE_TEXTS = frozenset({"now", "today", "tomorrow", "yesterday"})
_SQLITE_DATES = _classes(
    "Date Time Datetime TimeToStr StrToTime TsOrDsToTimestamp TsOrDsToDate UnixToTime JulianDay Timestamp "
    "TimeToUnix TsOrDsToDatetime CastToStrType"
)
_REG_TYPES = frozenset(
    {"regclass", "regproc", "regprocedure", "regtype", "regrole", "regnamespace"}
)


def impurities(node: exp.Expr, dialect: str, declared: Collection[str]) -> Iterator[str]:
    """Why a node, without what is below it, might give another result another time or place; nothing for most."""
    if isinstance(node, exp.Dot):
        if not isinstance(node.expression, exp.Func):
            yield "a field of a composite value"
    elif isinstance(node, exp.Func):
        yield from _function(node, dialect, declared)
    elif type(node) not in PURE_NODES:
        yield f"{type(node).__name__}, which is not known to give the same for the same rows"
    elif isinstance(node, exp.Literal) and node.is_string:
        if node.this.strip().lower() in _DATE_TEXTS:
            yield f"the text {node.this!r}, which a database may take for a moment"
    elif isinstance(node, exp.DataType) and _names_of_catalogue(node):
        yield "a cast to a name of the catalogue"


def may_write(tree: exp.Expr, catalogue: Catalogue, declared: Collection[str]) -> Iterator[str]:
    """The functions below `tree` that are not known to write nothing."""
    for node in tree.find_all(exp.Func):
        name = called(node)
        known = name in HARMLESS_NAMES or name in declared or type(node) in PURE_NODES | _HARMLESS
        if not known and not catalogue.writes_nothing(name):
            yield name


def called(node: exp.Func) -> str:
    """The name that a function is called by, with its schema if that is said and is not the one of built-in functions."""
    name = str(node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
    parent = node.parent
    if isinstance(parent, exp.Dot) and parent.expression is node:
        schema = parent.this.sql().lower().replace('"', "")
        return name if schema == "pg_catalog" else f"{schema}.{name}"
    return name


def _names_of_catalogue(node: exp.DataType) -> bool:
    named = (str(node.this), str(node.args.get("kind") or ""))
    return any(name.lower().rpartition(".")[2] in _REG_TYPES for name in named)


def _function(node: exp.Func, dialect: str, declared: Collection[str]) -> Iterator[str]:
    name = called(node)
    dates = type(node) in _SQLITE_DATES or name in _CLOCKS_OF_SQLITE
    if dialect == "sqlite" and dates:
        yield from _date_of_sqlite(node)
    elif name not in declared and not _is_pure(node, name):
        yield f"the function {name}(), which is not known to be pure"


def _is_pure(node: exp.Func, name: str) -> bool:
    if isinstance(node, exp.Anonymous) or "." in name:
        return name in PURE_NAMES
    return type(node) in PURE_NODES


def _date_of_sqlite(node: exp.Expr) -> Iterator[str]:
    """SQLite's date functions read the clock without arguments and for 'now'; 'localtime' is a setting.

    A quoted name that is no column is a text to SQLite, so that `date("now")` reads the clock too.
    """
    columns, texts = (
        list(node.find_all(exp.Column)),
        [each.name for each in node.find_all(exp.Literal)],
    )
    quoted = [each.name for each in columns if each.this.args.get("quoted")]
    if not columns and not texts:
        yield "a date function of SQLite without a column or a text"
    if any(True for _ in node.find_all(exp.Placeholder)):
        yield "a date function of SQLite with a parameter, which may be 'now'"
    if any(text.lower() in _DATE_TEXTS for text in quoted):
        yield "a text that SQLite may take for the present moment"
    if any(text.lower() in ("localtime", "utc") for text in [*texts, *quoted]):
        yield "the time zone of the process"
