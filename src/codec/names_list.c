#include "codec/names_list.h"

#include "base/cleanup.h"

const char *const name_adjectives[] = { "airy", "amber", "ashen", "autumnal", "azure", "balmy", "beaming", "blustery",
	"breezy", "burnished", "chalky", "cloudless", "cobalt", "coppery", "coral", "crimson", "crisp", "crystalline",
	"dappled", "dawning", "dewy", "downy", "dusky", "earthen", "ebony", "emerald", "feathery", "flaxen", "fleecy",
	"foggy", "gilded", "glassy", "gleaming", "glinting", "glossy", "golden", "granular", "hazel", "hazy",
	"heathery", "indigo", "inky", "ivory", "jade", "lacy", "lambent", "leafy", "limpid", "lofty", "lucent", "lunar",
	"marbled", "maroon", "meadowy", "mellow", "misty", "molten", "moonlit", "mossy", "mottled", "northern", "ochre",
	"opaline", "pearly", "pebbled", "pine", "plumed", "polished", "quartz", "quilted", "rainy", "rippled", "rosy",
	"russet", "saffron", "sandy", "satin", "scarlet", "shady", "shimmering", "silken", "silvery", "sleek", "smoky",
	"snowy", "solar", "southern", "speckled", "starlit", "stony", "sunlit", "supple", "teal", "tidal", "umber",
	"velvet", "verdant", "vernal", "violet", "windy", "wintry", "woolen", "woven", "zephyr" };
const size_t name_adjective_count = ARRAY_SIZE(name_adjectives);

const char *const name_surnames[] = { "albeniz", "amundsen", "arne", "bach", "balakirev", "barents", "bartok",
	"bashkirtseff", "beach", "bellini", "berg", "bering", "berlioz", "bernini", "bizet", "bonheur", "borodin",
	"boulanger", "brahms", "bruckner", "bruegel", "byrd", "cabot", "caillebotte", "canaletto", "carriera",
	"cassatt", "cezanne", "chabrier", "chagall", "chaminade", "chopin", "clementi", "constable", "cook", "copland",
	"corelli", "corot", "couperin", "courbet", "daumier", "debussy", "degas", "delacroix", "delibes", "delius",
	"donizetti", "dowland", "durer", "dvorak", "elgar", "enescu", "faure", "franck", "frobisher", "gauguin",
	"gentileschi", "gershwin", "glinka", "gluck", "gounod", "grainger", "granados", "grieg", "handel", "haydn",
	"hensel", "hokusai", "holbein", "holst", "humboldt", "ives", "janacek", "jansson", "kahlo", "kandinsky",
	"kingsley", "klee", "klimt", "kodaly", "kollwitz", "lalo", "leyster", "liszt", "livingstone", "lully",
	"magellan", "mahler", "manet", "massenet", "matisse", "mendelssohn", "messiaen", "millet", "miro", "modigliani",
	"monet", "monteverdi", "morisot", "mozart", "munch", "mussorgsky", "nansen", "nielsen", "orff", "pachelbel",
	"paganini", "palestrina", "palliser", "park", "peary", "poulenc", "poussin", "puccini", "purcell", "rameau",
	"raphael", "ravel", "rembrandt", "renoir", "respighi", "rossini", "rousseau", "rubens", "ruysch", "saariaho",
	"satie", "scarlatti", "schubert", "schumann", "scriabin", "seurat", "shackleton", "sibelius", "sisley",
	"smetana", "stanhope", "strauss", "stravinsky", "tallis", "tasman", "telemann", "tintoretto", "titian",
	"turner", "valadon", "velazquez", "verdi", "vermeer", "vespucci", "vivaldi", "walton", "weber", "whistler" };
const size_t name_surname_count = ARRAY_SIZE(name_surnames);
