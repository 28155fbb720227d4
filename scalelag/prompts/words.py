"""Common English words, of which prompts are made."""

_TEXT = """
able about above across after again against ago air all almost alone along already also always
among and animal answer any area arm army around art as ask at away baby back bad bag ball bank
base be bear beat because bed been before began behind being below best better between big bird
black blood blue board boat body book born both box boy bring brother brown build business but
buy by call came can car care carry case cat cause cell center change child church city class
clear close cold color come common company control cook cool copy corn cost could country course
cover cross cry current cut dance dark data day dead deal death decide deep did different direct
do doctor does dog done door down draw dream dress drive drop dry during each early earth east
easy eat edge effect egg eight end energy enough even ever every example eye face fact fall
family far farm fast father feel feet few field fight figure fill final find fine fire first
fish five floor fly follow food foot for force form four free friend from front full fun game
gave general get girl give glass go gold gone good got government great green ground group grow
had hair half hand happy hard has have he head hear heart heat heavy help her here high him his
hit hold hole home hope horse hot hour house how hundred ice idea if in inch interest into iron
is island it job join just keep key kind king knew know land language large last late law lay
lead learn leave left leg less let letter level life light like line list little live long look
lost lot love low machine made main make man many map mark market matter may me mean meet men
might mile milk million mind minute miss money month moon more most mother mountain mouth move
much music must my name nation near need never new next night nine no noon north nose not note
now number object of off office often oil old on once one only open or order other our out over
own page paper part party pass past pay people perhaps person picture piece place plan plane
plant play please point poor possible power press problem product provide pull push put question
quick quiet race rain ran reach read ready real reason record red rest result rich right river
road rock room round rule run safe said salt same sand saw say school sea season seat second see
seem self sell send sense set seven shall she ship short should show side sign simple since sing
single sister sit six size skin sleep slow small snow so soft soil some son song soon sound
south space speak special spring square stand star start state station stay step still stone
stop store story street strong study such sugar summer sun sure surface system table tail take
talk tall teach team tell ten test than that the their them then there these they thing think
third this those though thought thousand three through time to together told too took top total
town trade train tree true try turn two type under unit until up us use usual valley value very
view voice wait walk wall want war warm was watch water way we weather week weight well went
were west what wheel when where which while white who whole why wide wife wild will wind window
winter wish with woman wonder wood word work world would write wrong year yes yet you young your
"""

WORDS: tuple[str, ...] = tuple(_TEXT.split())
