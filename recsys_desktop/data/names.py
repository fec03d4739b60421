"""What columns are called, in several languages: the words by which roles are guessed."""

from __future__ import annotations

import re
import unicodedata

from recsys_desktop.api.roles import Role

_WORDS: dict[Role, str] = {
    Role.USER: """
        user userid uid username member memberid customer customerid client clientid buyer buyerid shopper
        reviewer reviewerid rater raterid person personid people learner learnerid student studentid account
        accountid visitor visitorid profile profileid reader readerid listener listenerid viewer viewerid
        session sessionid subject patient patientid employee employeeid userprofileid viewersid benutzer
        benutzerid nutzer nutzerid kunde kundenid kundennummer utilisateur utilisateurid idutilisateur usuario
        usuarioid idusuario cliente clienteid idcliente utente idutente gebruiker klant anvandare bruker
        kayttaja uzytkownik klient пользователь клиент 用户 用户id 使用者 ユーザー ユーザーid 사용자
    """,
    Role.ITEM: """
        item itemid iid movie movieid film filmid product productid asin parentasin isbn isbn10 isbn13 book
        bookid song songid track trackid artist artistid album albumid course courseid lesson lessonid article
        articleid news newsid video videoid game gameid appid anime animeid recipe recipeid business businessid
        restaurant restaurantid hotel hotelid poi poiid venueid sku stockcode jokeid joke content contentid
        resource resourceid document documentid object objectid showid listingid adid skill skillid merchant
        artikel artikelid artikelnummer produkt produktid buch titelid kurs kursid produit produitid idproduit
        livre cours producto idproducto articulo pelicula idpelicula libro curso prodotto articolo corso
        product_id товар фильм 商品 商品id 电影 電影 アイテム 상품
    """,
    Role.RATING: """
        rating ratings rate score stars star overall grade bookrating userrating preference relevance mark vote
        ratingvalue overallrating reviewscore feedbackscore ratingscore scorestring bewertung note wertung
        notation evaluation puntuacion calificacion valoracion valutazione voto nota ocena оценка 评分 評分 評価 평점
    """,
    Role.TIMESTAMP: """
        timestamp time date datetime ts unixtime unixreviewtime reviewtime createdat created ratedat updatedat
        eventtime eventtimestamp timestampms when moment watchedat purchasedat enrolledat enroledat
        enrolmentdate enrollmentdate orderdate purchasedate invoicedate ratingdate viewedat visittime
        checkintime localtime dateadded zeit zeitpunkt zeitstempel datum fecha hora data horodatage heure tijd
        tidpunkt data_ora дата время 时间 時間 日時
    """,
    Role.EVENT: """
        event eventtype eventname behavior behaviour behaviortype behaviourtype action actiontype interaction
        interactiontype type activity activitytype verb ereignis aktion evento accion evenement azione событие
        действие 行为 行為
    """,
    Role.WEIGHT: """
        weight count counts plays playcount listens listencount quantity qty amount minutes watchtime timespent
        dwelltime dwell seconds hours hoursplayed strength frequency freq clicks views times playtime anzahl
        menge gewicht cantidad quantite quantita peso poids вес количество 数量 次数
    """,
    Role.TITLE: """
        title name movietitle filmtitle booktitle coursetitle productname producttitle itemname itemtitle
        articletitle songname trackname headline caption label titel titre titulo titolo nombre nom nome
        bezeichnung naam название 标题 標題 名称 タイトル 제목
    """,
    Role.TEXT: """
        text description desc overview synopsis summary abstract plot body longdescription shortdescription
        about productdescription coursedescription details storyline beschreibung descripcion descrizione resume
        resumen sommario описание 描述 説明 설명
    """,
    Role.TAGS: """
        tags tag genres categories skills keywords topics subjects themes labels genrelist authors actors cast
        interests ingredients competencies objectives languages schlagworte schlagwörter stichworte genres_list
        etiquetas generos categorias mots motscles категории жанры 标签
    """,
    Role.CATEGORY: """
        category genre class level difficulty department brand publisher author bookauthor director language
        country provider organisation organization institution university gender sex occupation city state
        region location job education format platform artistname subcategory maincategory section agegroup
        kategorie rubrik stufe sprache land geschlecht beruf categoria categorie nivel niveau livello idioma
        pais genero категория жанр 类别 分类 カテゴリ
    """,
    Role.NUMERIC: """
        year price duration durationhours durationminutes length runtime age pages numpages credits cost
        yearofpublication releaseyear popularity averagerating ratingcount numratings weightkg size jahr preis
        dauer ano precio duracion annee prix duree prezzo durata anno alter edad
    """,
}

_ROLE_OF_WORD: dict[str, Role] = {}


def normalised(name: str) -> str:
    """A column name without case, accents and punctuation: `"User-ID"`, `"userId"` and `"user_id"` are one."""
    decomposed = unicodedata.normalize("NFKD", name)
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return re.sub(r"[\W_]+", "", plain.casefold())


for _role, _words in _WORDS.items():
    for _word in _words.split():
        _ROLE_OF_WORD.setdefault(normalised(_word), _role)


def role_of_name(name: str) -> Role | None:
    """The role that a column of this name usually has, or None."""
    key = normalised(name)
    if key in _ROLE_OF_WORD:
        return _ROLE_OF_WORD[key]
    for ending in ("id", "ids", "code", "key", "no", "number", "idx", "index", "hash"):
        stem = key.removesuffix(ending)
        if stem != key and _ROLE_OF_WORD.get(stem) in (Role.USER, Role.ITEM):
            return _ROLE_OF_WORD[stem]
    return None


def is_known_name(name: str) -> bool:
    """Whether a word looks like the name of a column rather than a value."""
    return role_of_name(name) is not None or normalised(name) == "id"
